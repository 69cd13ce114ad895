// What a disk, whatever its controller, keeps its bytes on. Implemented in backend/.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

namespace eidolon::device::storage {

enum class IoStatus : uint8_t {
  kDone,
  kFailed,   ///< the host could not
  kNoSpace,  ///< the host's disk is full; nothing that was there before is lost
};

/// Offsets and lengths are bytes within size(), multiples of 512; the caller has checked them. From any
/// thread, several at a time; requests that overlap are the guest's own race.
/// Of a request that a processor waits for, in bytes: copying so much takes less than waking a thread.
inline constexpr uint64_t kMostAtOnce = 64 << 10;

class Medium {
 public:
  virtual ~Medium() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;

  [[nodiscard]] virtual IoStatus read(uint64_t offset, std::span<const iovec> into) = 0;
  [[nodiscard]] virtual IoStatus write(uint64_t offset, std::span<const iovec> from) = 0;
  /// The same without waiting for the host's disk. False: that cannot be, or something is wrong, and how much
  /// was done is not known; to be asked for again by the above.
  [[nodiscard]] virtual bool read_at_once(uint64_t /*offset*/, std::span<const iovec> /*into*/) {
    return false;
  }
  [[nodiscard]] virtual bool write_at_once(uint64_t /*offset*/, std::span<const iovec> /*from*/) {
    return false;
  }
  /// What was written before is on the disk when this returns.
  [[nodiscard]] virtual IoStatus flush() = 0;
  /// The contents may be forgotten: a hint.
  [[nodiscard]] virtual IoStatus discard(uint64_t offset, uint64_t length) = 0;
  [[nodiscard]] virtual IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) = 0;

  // For a machine that moves to another process. No request is under way, from the one to the other.
  /// What was written is on the disk, and others may open the image.
  [[nodiscard]] virtual IoStatus let_go() { return read_only() ? IoStatus::kDone : flush(); }
  /// False: another has it, and nothing may be written any more.
  [[nodiscard]] virtual bool take_back() { return true; }

  /// Requests that wait for the host (room on its disk, a server) fail now, and so does what comes later and
  /// would have to wait. The machine is to end.
  virtual void stop_waiting() {}
  /// Requests that wait are tried again at once.
  virtual void retry_now() {}
};

}  // namespace eidolon::device::storage
