#include "backend/image/vmdk_descriptor.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/try.h"

namespace eidolon::backend::image {

namespace {

std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\0'))
    line.remove_suffix(1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line;
}

/// Cuts a word, or a text in quotation marks, off the front.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const bool quoted = line.starts_with('"');
  if (quoted) line.remove_prefix(1);
  const size_t end = std::min(line.find_first_of(quoted ? "\"" : " \t"), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<uint64_t> number(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

bool is_extent(std::string_view line) {
  return line.starts_with("RW ") || line.starts_with("RDONLY ") || line.starts_with("NOACCESS ");
}

/// RW 4192256 SPARSE "disk-s001.vmdk", or RW 4192256 FLAT "disk-flat.vmdk" 0
Result<VmdkExtent> parse_extent(std::string_view line, const std::string& name) {
  using Kind = VmdkExtent::Kind;
  (void)next_word(line);
  const std::optional<uint64_t> sectors = number(next_word(line));
  const std::string_view kind = next_word(line);
  const std::string_view file = next_word(line);
  const std::string_view offset = next_word(line);
  constexpr uint64_t kMostSectors = uint64_t{1} << 46;
  if (!sectors || *sectors == 0 || *sectors > kMostSectors)
    return fail("image '{}' is damaged: an extent has an impossible size; restore it from a copy", name);
  VmdkExtent extent{.kind = Kind::kFlat, .sectors = *sectors, .file = std::string(file)};
  if (kind == "ZERO") {
    extent.kind = Kind::kZero;
    return extent;
  }
  if (kind != "FLAT" && kind != "SPARSE" && kind != "VMFS")
    return fail(
        "image '{}' has an extent of type {}, which is not supported; convert it with qemu-img convert", name,
        kind);
  if (kind == "SPARSE") extent.kind = Kind::kSparse;
  const std::optional<uint64_t> first = offset.empty() ? uint64_t{0} : number(offset);
  if (!first || *first > kMostSectors || file.empty())
    return fail("image '{}' is damaged: an extent is at an impossible place; restore it from a copy", name);
  extent.offset = *first;
  return extent;
}

}  // namespace

Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text, const std::string& name) {
  VmdkDescriptor descriptor;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (is_extent(line)) descriptor.extents.push_back(EIDOLON_TRY(parse_extent(line, name)));
    constexpr std::string_view kParent = "parentCID=", kNoParent = "parentCID=ffffffff";
    if (line.starts_with(kParent) && line != kNoParent) descriptor.has_parent = true;
    constexpr size_t kMostExtents = 4096;
    if (descriptor.extents.size() > kMostExtents)
      return fail("image '{}' has too many extents; convert it with qemu-img convert", name);
  }
  if (descriptor.has_parent)
    return fail(
        "image '{}' stands on another one, which is not supported for VMDK; convert it with qemu-img convert",
        name);
  return descriptor;
}

}  // namespace eidolon::backend::image
