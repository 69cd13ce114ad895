#include "migration/memory_layout.h"

#include <algorithm>

#include "snapshot/memory_index.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

bool MemoryLayout::has_page(uint64_t number) const {
  return std::ranges::any_of(pieces, [number](const Piece& piece) {
    return number - piece.offset / kPageBytes < piece.length / kPageBytes;
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
