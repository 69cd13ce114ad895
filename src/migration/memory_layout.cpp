#include "migration/memory_layout.h"

#include <algorithm>

#include "snapshot/memory_index.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

bool MemoryLayout::has_pages(uint64_t first, uint64_t count) const {
  return count != 0 && std::ranges::any_of(pieces, [first, count](const Piece& piece) {
           const uint64_t offset = first - piece.offset / kPageBytes, pages = piece.length / kPageBytes;
           return offset < pages && count <= pages - offset;
         });
}

bool MemoryLayout::possible(uint64_t most) const {
  uint64_t end = 0;
  for (const Piece& piece : pieces) {
    if (piece.offset < end || piece.offset > most || piece.length == 0 ||
        piece.length > most - piece.offset || (piece.offset | piece.length) % kPageBytes != 0)
      return false;
    end = piece.offset + piece.length;
  }
  return !pieces.empty();
}

}  // namespace eidolon::migration
