// A guest kernel's symbols, from a file such as System.map: "address type name" a line, as nm(1) writes.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace eidolon::control {

class Symbols {
 public:
  static Result<Symbols> read(const std::string& path);
  static Result<Symbols> parse(std::istream& text, const std::string& path);

  [[nodiscard]] std::optional<uint64_t> address_of(const std::string& name) const;
  /// " <name+0x12>" for the nearest symbol at or below the address, within 1 MiB; else empty.
  [[nodiscard]] std::string describe(uint64_t address) const;

 private:
  struct Symbol {
    uint64_t address;
    std::string name;
  };
  std::vector<Symbol> symbols_;  ///< by address
  std::unordered_map<std::string, uint64_t> addresses_;
};

/// "0xffffffff81000000", "schedule" or "schedule+0x10". `symbols` may be null: then names are refused.
[[nodiscard]] Result<uint64_t> parse_address(const std::string& text, const Symbols* symbols);

}  // namespace eidolon::control
