// The gate of the processor's address line 20. Port 0x92 and the keyboard controller both switch it; as in
// other monitors the last of them decides, where old boards wanted both to agree: programs switch it by one
// and expect that to do.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

namespace eidolon::device {

class A20Gate {
 public:
  /// `changed` is called on the processor's thread, in the middle of an instruction that switched the gate.
  /// One call at a time, in the order of the changes: the last one says how the gate is.
  void set_observer(std::function<void(bool open)> changed) { changed_ = std::move(changed); }
  /// With no lock of the caller's held.
  void set(bool open) {
    std::lock_guard lock(mutex_);
    if (open_.exchange(open) != open && changed_) changed_(open);
  }
  [[nodiscard]] bool open() const { return open_; }

 private:
  std::mutex mutex_;  ///< held while `changed_` is called
  std::function<void(bool open)> changed_;
  std::atomic<bool> open_{true};
};

}  // namespace eidolon::device
