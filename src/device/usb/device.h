// A USB device as its host controller sees it (USB 2.0, chapters 8 and 9): it answers control requests, and
// gives and takes the data of its other endpoints.
//
// Never called by two threads at a time. A device that user input or a host thread feeds has a lock of its
// own, which it does not hold while it calls its listener.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "base/state_stream.h"

namespace eidolon::device::usb {

/// Numbered as xHCI does.
enum class Speed : uint8_t { kFull = 1, kLow = 2, kHigh = 3, kSuper = 4 };

/// The eight bytes that begin a control transfer (9.3).
struct Setup {
  uint8_t type;  ///< bmRequestType
  uint8_t request;
  uint16_t value;
  uint16_t index;
  uint16_t length;

  [[nodiscard]] bool is_in() const { return (type & 0x80) != 0; }
};
static_assert(sizeof(Setup) == 8);

enum class Answer : uint8_t {
  kDone,
  kNotYet,  ///< NAK: the controller asks again when the device says so
  kStall,
};

struct Result {
  Answer answer;
  uint32_t length = 0;  ///< bytes given or taken
};

class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual Speed speed() const = 0;
  /// A reset of the bus: unconfigured, as after power-on.
  virtual void reset() = 0;
  /// `data` has setup.length bytes, or fewer if the driver is wrong: to be filled if setup.is_in(), else what
  /// the host sends.
  [[nodiscard]] virtual Result control(const Setup& setup, std::span<uint8_t> data) = 0;
  /// One transfer from endpoint `number` (1 to 15), at most as long as `data`.
  [[nodiscard]] virtual Result in(unsigned number, std::span<uint8_t> data) = 0;
  [[nodiscard]] virtual Result out(unsigned number, std::span<const uint8_t> data) = 0;

  virtual void save(StateWriter& to) const = 0;
  /// Makes the reader fail if something cannot be.
  virtual void load(StateReader& from) = 0;

  /// Who is told, from any thread, that an IN endpoint that had nothing to give has something now.
  using Listener = std::function<void(unsigned number)>;
  void set_listener(Listener listener) { listener_ = std::move(listener); }

 protected:
  void tell_listener(unsigned number) const {
    if (listener_) listener_(number);
  }

 private:
  Listener listener_;
};

}  // namespace eidolon::device::usb
