// The gate of the processor's address line 20. Port 0x92 and the keyboard controller both switch it; as in
// other monitors the last of them decides, where old boards wanted both to agree: programs switch it by one
// and expect that to do.
#pragma once

#include <atomic>
#include <functional>

namespace eidolon::device {

class A20Gate {
 public:
  /// `changed` is called on the processor's thread, in the middle of an instruction that switched the gate.
  void set_observer(std::function<void(bool open)> changed) { changed_ = std::move(changed); }
  void set(bool open) {
    if (open_.exchange(open) != open && changed_) changed_(open);
  }
  [[nodiscard]] bool open() const { return open_; }

 private:
  std::function<void(bool open)> changed_;
  std::atomic<bool> open_{true};
};

}  // namespace eidolon::device
