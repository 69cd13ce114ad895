#include "device/storage/dma_pieces.h"

namespace eidolon::device::storage {

bool DmaPieces::add(GuestPhysical address, uint64_t length) {
  if (length == 0) return true;
  void* bytes = nullptr;
  if (into_memory_) {
    const std::span<uint8_t> found = dma_.writable(address, length);
    if (found.size() == length) bytes = found.data();
  } else {
    const std::span<const uint8_t> found = dma_.readable(address, length);
    if (found.size() == length) bytes = const_cast<uint8_t*>(found.data());  // pwritev only reads
  }
  if (bytes == nullptr) return false;
  pieces_.push_back({address, length});
  parts_.push_back({bytes, length});
  total_ += length;
  return true;
}

void DmaPieces::written() {
  for (const Piece& piece : pieces_) dma_.written(piece.address, piece.length);
}

}  // namespace eidolon::device::storage
