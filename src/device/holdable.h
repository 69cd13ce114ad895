// A device whose threads can be made to stand, for a snapshot of the whole machine.
#pragma once

#include <chrono>
#include <string_view>

namespace eidolon::device {

class Holdable {
 public:
  virtual ~Holdable() = default;
  // From hold() to release(), no thread of the device's begins a request or touches guest memory.
  /// False, and nothing is held, if a request has not come to its end within `patience`.
  [[nodiscard]] virtual bool hold(std::chrono::milliseconds patience) = 0;
  virtual void release() = 0;
  /// While it is held: what of it a snapshot could not hold, and what to do about that, as a sentence. Empty:
  /// nothing.
  [[nodiscard]] virtual std::string_view obstacle() const { return {}; }
};

}  // namespace eidolon::device
