// One counter of an 8254 (Intel 82C54 datasheet, 231244), computed from the time instead of being counted.
// Times are in ticks of its 1.193182 MHz clock since the machine was started.
#pragma once

#include <cstdint>
#include <optional>

namespace eidolon::device {

using PitTicks = int64_t;

class PitChannel {
 public:
  void reset() { *this = PitChannel{}; }

  void write_control(uint8_t value, PitTicks now);  ///< bits 5..0 of the control word
  void write_count(uint8_t value, PitTicks now);
  [[nodiscard]] uint8_t read(PitTicks now);
  void latch_count(PitTicks now);
  void latch_status(PitTicks now);
  void set_gate(bool gate, PitTicks now);

  [[nodiscard]] bool gate() const { return gate_; }
  [[nodiscard]] bool output(PitTicks now) const;
  /// When OUT rises next, strictly after `now`; nullopt if it does not by itself.
  [[nodiscard]] std::optional<PitTicks> next_rise(PitTicks now) const;
  [[nodiscard]] bool periodic() const { return mode_ == 2 || mode_ == 3; }

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.mode_, self.access_, self.bcd_, self.gate_, self.loaded_, self.running_, self.reload_,
      self.next_reload_, self.has_next_, self.start_, self.held_, self.low_byte_, self.write_high_,
      self.read_high_, self.latched_count_, self.latched_bytes_, self.latched_status_, self.has_status_);
  }
  /// Brings loaded values into their ranges.
  void sanitize(PitTicks now);

 private:
  [[nodiscard]] PitTicks modulus() const { return bcd_ ? 10'000 : 65'536; }
  [[nodiscard]] bool needs_trigger() const { return mode_ == 1 || mode_ == 5; }
  [[nodiscard]] PitTicks elapsed(PitTicks now) const;
  [[nodiscard]] uint16_t count(PitTicks now) const;
  [[nodiscard]] PitTicks period_of(uint16_t written) const;
  void load(uint16_t written, PitTicks now);
  void settle(PitTicks now);

  uint8_t mode_ = 0;
  uint8_t access_ = 3;  ///< 1: low byte, 2: high byte, 3: low then high
  bool bcd_ = false;
  bool gate_ = true;
  bool loaded_ = false;   ///< a count was written since the control word
  bool running_ = false;  ///< counting: started, and not held by the gate
  PitTicks reload_ = 65'536;
  PitTicks next_reload_ = 65'536;
  bool has_next_ = false;  ///< next_reload_ takes over when the period ends
  PitTicks start_ = 0;     ///< when the current count was loaded
  PitTicks held_ = 0;      ///< elapsed ticks while not running
  uint8_t low_byte_ = 0;
  bool write_high_ = false;
  bool read_high_ = false;
  uint16_t latched_count_ = 0;
  uint8_t latched_bytes_ = 0;  ///< bytes of the latch that are still to be read
  uint8_t latched_status_ = 0;
  bool has_status_ = false;
};

}  // namespace eidolon::device
