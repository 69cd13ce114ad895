// What of a machine's one mapping (memory::GuestMemory::bytes) is memory that migrates: pieces of whole pages
// in their order, which both sides have to agree on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::migration {

struct Piece {
  uint64_t offset = 0, length = 0;  ///< bytes in the mapping
  bool operator==(const Piece&) const = default;
};

struct MemoryLayout {
  std::vector<Piece> pieces;

  [[nodiscard]] uint64_t end() const {
    return pieces.empty() ? 0 : pieces.back().offset + pieces.back().length;
  }
  [[nodiscard]] uint64_t bytes() const {
    uint64_t sum = 0;
    for (const Piece& piece : pieces) sum += piece.length;
    return sum;
  }
  [[nodiscard]] bool has_page(uint64_t number) const { return has_pages(number, 1); }
  /// At least one, all in one piece.
  [[nodiscard]] bool has_pages(uint64_t first, uint64_t count) const;
  /// In order, whole pages, none empty, within `most` bytes of mapping.
  [[nodiscard]] bool possible(uint64_t most) const;
  bool operator==(const MemoryLayout&) const = default;
};

}  // namespace eidolon::migration
