// The pieces of guest memory that one transfer of a disk controller fills or sends, checked one by one.
#pragma once

#include <sys/uio.h>

#include <span>
#include <vector>

#include "device/dma.h"

namespace eidolon::device::storage {

class DmaPieces {
 public:
  /// `into_memory`: the device writes them.
  DmaPieces(Dma& dma, bool into_memory) : dma_(dma), into_memory_(into_memory) {}

  /// False if the bytes are not all memory.
  [[nodiscard]] bool add(GuestPhysical address, uint64_t length);
  [[nodiscard]] uint64_t total() const { return total_; }
  [[nodiscard]] std::span<const iovec> parts() const { return parts_; }
  /// To be called after the pieces were filled.
  void written();

 private:
  struct Piece {
    GuestPhysical address;
    uint64_t length;
  };
  Dma& dma_;
  const bool into_memory_;
  uint64_t total_ = 0;
  std::vector<Piece> pieces_;
  std::vector<iovec> parts_;
};

}  // namespace eidolon::device::storage
