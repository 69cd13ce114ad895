// Where in guest memory a command's data is: physical region pages (NVM Express 1.4, 4.3).
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

#include "device/dma.h"
#include "device/storage/nvme_protocol.h"

namespace eidolon::device::storage::nvme {

class Transfer {
 public:
  /// Reads the command's PRP entries for `length` bytes, kMostBytes at most. `page` is CC.MPS in bytes.
  [[nodiscard]] Status describe(const Dma& dma, const Command& command, uint64_t length, uint64_t page);

  /// The memory itself, for a read from or a write to a medium; Status::kDataTransferError if some of it is
  /// not RAM. Call written() after writing.
  [[nodiscard]] Status writable(const Dma& dma, std::vector<iovec>& parts) const;
  [[nodiscard]] Status readable(const Dma& dma, std::vector<iovec>& parts) const;
  void written(Dma& dma) const;

  /// As many bytes as describe() was called with.
  [[nodiscard]] Status put(Dma& dma, std::span<const std::byte> bytes) const;
  [[nodiscard]] Status get(const Dma& dma, std::span<std::byte> bytes) const;

 private:
  struct Segment {
    GuestPhysical address;
    uint64_t length;
  };
  void add(GuestPhysical address, uint64_t length);
  [[nodiscard]] Status walk_list(const Dma& dma, GuestPhysical list, uint64_t length, uint64_t page);

  std::vector<Segment> segments_;
};

}  // namespace eidolon::device::storage::nvme
