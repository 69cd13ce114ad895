// What a card of the 8254x family tells its driver, and when (317453, 13.4.17 to 13.4.21): causes, a mask,
// one wire, and ITR, which is the least time between two interrupts.
//
// The delays of RDTR, RADV, TIDV and TADV are not kept: causes are there at once, and ITR alone moderates.
#pragma once

#include <functional>
#include <mutex>

#include "base/clock.h"
#include "base/state_stream.h"

namespace eidolon::device::net::e1000 {

// Causes.
inline constexpr uint32_t kTransmitDone = 1u << 0, kTransmitEmpty = 1u << 1, kLinkChange = 1u << 2;
inline constexpr uint32_t kReceiveLow = 1u << 4, kReceiveDone = 1u << 7, kMdioDone = 1u << 9;
inline constexpr uint32_t kTransmitLow = 1u << 15, kSmallFrame = 1u << 16;

class Interrupts {
 public:
  /// `mutex` is the device's, which is held in all calls but those of the constructor and destructor. `wire`
  /// sets the level.
  Interrupts(TimerQueue& timers, std::mutex& mutex, std::function<void(bool)> wire);

  void reset();
  void raise(uint32_t causes);
  /// What the configuration space says of the wire may have changed, or a snapshot was loaded.
  void update();

  // By the guest.
  [[nodiscard]] uint32_t take_causes();  ///< ICR
  void clear_causes(uint32_t causes);
  [[nodiscard]] uint32_t mask() const { return mask_; }
  void set_mask(uint32_t causes);
  void clear_mask(uint32_t causes);
  [[nodiscard]] uint32_t interval() const { return interval_; }
  void set_interval(uint32_t value);

  void save(StateWriter& to) const { to(causes_, mask_, interval_); }
  void load(StateReader& from);

 private:
  const Clock& clock_;
  const std::function<void(bool)> wire_;
  uint32_t causes_ = 0;    ///< ICR
  uint32_t mask_ = 0;      ///< IMS
  uint32_t interval_ = 0;  ///< ITR, units of 256 ns
  bool level_ = false;     ///< of the wire
  Nanoseconds next_ = 0;   ///< the wire does not rise before
  Timer timer_;
};

}  // namespace eidolon::device::net::e1000
