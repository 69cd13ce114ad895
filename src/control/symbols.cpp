#include "control/symbols.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

namespace eidolon::control {

namespace {

/// Hexadecimal, with or without 0x.
std::optional<uint64_t> hexadecimal(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  uint64_t value = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (problem != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<Symbols> Symbols::read(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return fail("cannot read the symbols in '{}' ({}); name a System.map", path, std::strerror(errno));
  return parse(file, path);
}

Result<Symbols> Symbols::parse(std::istream& text, const std::string& path) {
  Symbols symbols;
  std::string line;
  for (size_t number = 1; std::getline(text, line); ++number) {
    std::istringstream words(line);
    std::string address, type, name;
    if (!(words >> address)) continue;
    const std::optional<uint64_t> value = hexadecimal(address);
    if (!value || !(words >> type >> name) || type.size() != 1)
      return fail(
          "line {} of '{}' is not 'address type name'; --symbols wants a System.map, or what nm writes",
          number, path);
    // Absolute ones are constants, not places ("a" and "A"); per-CPU variables' offsets are among them.
    if (type == "a" || type == "A") continue;
    symbols.symbols_.push_back({*value, name});
    symbols.addresses_.try_emplace(name, *value);
  }
  if (symbols.symbols_.empty()) return fail("there are no symbols in '{}'; name a System.map", path);
  std::ranges::stable_sort(symbols.symbols_, {}, &Symbol::address);
  return symbols;
}

std::optional<uint64_t> Symbols::address_of(const std::string& name) const {
  const auto found = addresses_.find(name);
  return found == addresses_.end() ? std::nullopt : std::optional(found->second);
}

std::string Symbols::describe(uint64_t address) const {
  constexpr uint64_t kFar = uint64_t{1} << 20;
  const auto above = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
  if (above == symbols_.begin()) return {};
  // Of those at the same address the first: the one whose name the file tells first.
  const uint64_t base = std::prev(above)->address;
  const auto symbol = std::ranges::lower_bound(symbols_, base, {}, &Symbol::address);
  const uint64_t offset = address - base;
  if (offset >= kFar) return {};
  return offset == 0 ? fmt::format(" <{}>", symbol->name) : fmt::format(" <{}+{:#x}>", symbol->name, offset);
}

Result<uint64_t> parse_address(const std::string& text, const Symbols* symbols) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    if (const auto value = hexadecimal(text)) return *value;
    return fail("--at cannot be '{}'; write an address such as 0xffffffff81000000", text);
  }
  const size_t plus = text.find('+');
  const std::string name = text.substr(0, plus);
  const auto offset = plus == text.npos ? std::optional<uint64_t>(0) : hexadecimal(text.substr(plus + 1));
  if (symbols == nullptr)
    return fail("--at '{}' is no address such as 0xffffffff81000000; names need --symbols FILE", text);
  const auto address = symbols->address_of(name);
  if (!address || !offset)
    return fail("--at '{}' is neither an address such as 0xffffffff81000000 nor in the file of --symbols",
                text);
  return *address + *offset;
}

}  // namespace eidolon::control
