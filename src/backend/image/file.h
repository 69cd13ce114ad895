// What an image format keeps its structures in: a file of the host, or in tests memory that can be made to
// fail. Unlike a Medium it may grow, and any byte can be addressed.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "backend/image/io_result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

/// From any thread, several at a time.
class File {
 public:
  using IoStatus = device::storage::IoStatus;
  virtual ~File() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;
  /// Fails where a part lies behind the end.
  [[nodiscard]] virtual IoStatus read(uint64_t offset, std::span<const iovec> into) = 0;
  /// Makes the file longer where it must.
  [[nodiscard]] virtual IoStatus write(uint64_t offset, std::span<const iovec> from) = 0;
  // As with a Medium; a write does not make the file longer.
  [[nodiscard]] virtual bool read_at_once(uint64_t /*offset*/, std::span<const iovec> /*into*/) {
    return false;
  }
  [[nodiscard]] virtual bool write_at_once(uint64_t /*offset*/, std::span<const iovec> /*from*/) {
    return false;
  }
  /// What was written before is on the disk when this returns.
  [[nodiscard]] virtual IoStatus flush() = 0;
  /// At least that long, with zeroes. kFailed where that cannot be known to be zeroes (a block device).
  [[nodiscard]] virtual IoStatus grow(uint64_t size) = 0;
  /// A hint; within the file.
  [[nodiscard]] virtual IoStatus discard(uint64_t offset, uint64_t length) = 0;
  /// Within the file.
  [[nodiscard]] virtual IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) = 0;
  /// Others may open it, until take_back(), which says whether it is ours again.
  virtual void let_go() {}
  [[nodiscard]] virtual bool take_back() { return true; }
};

// One piece of memory.
[[nodiscard]] IoResult<> read_bytes(File& file, uint64_t offset, std::span<uint8_t> into);
[[nodiscard]] IoResult<> write_bytes(File& file, uint64_t offset, std::span<const uint8_t> from);
/// What lies behind the end of the file reads as zeroes.
[[nodiscard]] IoResult<> read_padded(File& file, uint64_t offset, std::span<const iovec> into);

}  // namespace eidolon::backend::image
