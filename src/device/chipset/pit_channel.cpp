#include "device/chipset/pit_channel.h"

#include <algorithm>

namespace eidolon::device {

namespace {

uint16_t to_bcd(uint16_t value) {
  return static_cast<uint16_t>(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
                               value / 1000 % 10 << 12);
}

/// Digits above nine count as what they stand for, as the counter would on its way down.
PitTicks from_bcd(uint16_t value) {
  return (value & 0xf) + (value >> 4 & 0xf) * 10 + (value >> 8 & 0xf) * 100 + (value >> 12) * 1000;
}

}  // namespace

PitTicks PitChannel::elapsed(PitTicks now) const {
  return running_ ? std::max<PitTicks>(now - start_, 0) : held_;
}

PitTicks PitChannel::period_of(uint16_t written) const {
  const PitTicks value = bcd_ ? from_bcd(written) : PitTicks{written};
  return value == 0 ? modulus() : value;
}

/// A count that was written during a period takes over at its end.
void PitChannel::settle(PitTicks now) {
  if (!has_next_ || elapsed(now) < reload_) return;
  if (running_) start_ += elapsed(now) / reload_ * reload_;
  reload_ = next_reload_;
  has_next_ = false;
}

void PitChannel::write_control(uint8_t value, PitTicks /*now*/) {
  access_ = value >> 4 & 3;
  mode_ = value >> 1 & 7;
  if (mode_ > 5) mode_ -= 4;  // modes 6 and 7 are 2 and 3
  bcd_ = (value & 1) != 0;
  loaded_ = running_ = has_next_ = false;
  held_ = 0;
  write_high_ = read_high_ = false;
  latched_bytes_ = 0;
  has_status_ = false;
}

void PitChannel::write_count(uint8_t value, PitTicks now) {
  switch (access_) {
    case 1:
      load(value, now);
      break;
    case 2:
      load(static_cast<uint16_t>(value << 8), now);
      break;
    default:
      if (!write_high_) {
        low_byte_ = value;
        write_high_ = true;
        if (mode_ == 0) {  // the first byte of two stops the count, and OUT stays low
          held_ = 0;
          running_ = loaded_ = false;
        }
      } else {
        write_high_ = false;
        load(static_cast<uint16_t>(value << 8 | low_byte_), now);
      }
  }
}

void PitChannel::load(uint16_t written, PitTicks now) {
  settle(now);
  const PitTicks period = period_of(written);
  const bool in_period = loaded_ && (periodic() || needs_trigger());
  if (in_period) {  // the current period, or one-shot, runs to its end
    next_reload_ = period;
    has_next_ = true;
    return;
  }
  loaded_ = true;
  reload_ = period;
  held_ = 0;
  start_ = now + 1;  // loaded by the next clock
  running_ = gate_ && !needs_trigger();
}

void PitChannel::set_gate(bool gate, PitTicks now) {
  if (gate == gate_) return;
  settle(now);
  gate_ = gate;
  if (!loaded_) return;
  if (needs_trigger()) {
    if (!gate) return;  // the falling edge means nothing
    if (has_next_) reload_ = next_reload_;
    has_next_ = false;
    start_ = now + 1;
    running_ = true;
  } else if (!gate) {
    held_ = periodic() ? 0 : elapsed(now);  // modes 2 and 3 begin anew with the gate's next rise
    running_ = false;
  } else {
    if (periodic() && has_next_) {
      reload_ = next_reload_;
      has_next_ = false;
    }
    start_ = now - held_ + (periodic() ? 1 : 0);
    running_ = true;
  }
}

bool PitChannel::output(PitTicks now) const {
  const bool idle_high = mode_ != 0;
  if (!loaded_ || (!running_ && mode_ != 0 && mode_ != 4)) return idle_high;
  const PitTicks done = elapsed(now);
  switch (mode_) {
    case 0:
    case 1:
      return done >= reload_;
    case 2:
      return done % reload_ != reload_ - 1;
    case 3:
      return done % reload_ < (reload_ + 1) / 2;
    default:
      return done != reload_;  // a strobe of one clock
  }
}

uint16_t PitChannel::count(PitTicks now) const {
  const PitTicks done = elapsed(now);
  PitTicks value = 0;
  switch (mode_) {
    case 2:
      value = reload_ - done % reload_;
      break;
    case 3: {
      const PitTicks phase = done % reload_;
      const PitTicks high = (reload_ + 1) / 2;
      value = (reload_ - 2 * (phase < high ? phase : phase - high)) & ~PitTicks{1};
      break;
    }
    default:
      value = ((reload_ - done) % modulus() + modulus()) % modulus();
  }
  const auto binary = static_cast<uint16_t>(value % modulus());
  return bcd_ ? to_bcd(binary) : binary;
}

std::optional<PitTicks> PitChannel::next_rise(PitTicks now) const {
  if (!loaded_ || !running_) return std::nullopt;
  switch (mode_) {
    case 2:
    case 3: {
      if (now < start_) return start_ + reload_;
      const PitTicks first_end = start_ + reload_;
      if (now < first_end) return first_end;
      const PitTicks period = has_next_ ? next_reload_ : reload_;
      return first_end + ((now - first_end) / period + 1) * period;
    }
    case 0:
    case 1:
      return start_ + reload_ > now ? std::optional(start_ + reload_) : std::nullopt;
    default:
      return start_ + reload_ + 1 > now ? std::optional(start_ + reload_ + 1) : std::nullopt;
  }
}

void PitChannel::latch_count(PitTicks now) {
  if (latched_bytes_ != 0) return;  // a latch that was not read yet stays
  settle(now);
  latched_count_ = count(now);
  latched_bytes_ = access_ == 3 ? 2 : 1;
  read_high_ = access_ == 2;
}

void PitChannel::latch_status(PitTicks now) {
  if (has_status_) return;
  settle(now);
  const bool null_count = !loaded_ || has_next_;
  latched_status_ = static_cast<uint8_t>((output(now) ? 0x80 : 0) | (null_count ? 0x40 : 0) | access_ << 4 |
                                         mode_ << 1 | (bcd_ ? 1 : 0));
  has_status_ = true;
}

uint8_t PitChannel::read(PitTicks now) {
  if (has_status_) {
    has_status_ = false;
    return latched_status_;
  }
  settle(now);
  const bool latched = latched_bytes_ != 0;
  const uint16_t value = latched ? latched_count_ : count(now);
  if (latched) --latched_bytes_;
  const bool high = access_ == 2 || (access_ != 1 && read_high_);
  if (access_ != 1 && access_ != 2) read_high_ = !read_high_;
  return static_cast<uint8_t>(high ? value >> 8 : value);
}

void PitChannel::sanitize(PitTicks now) {
  mode_ = mode_ > 5 ? 0 : mode_;
  access_ &= 3;
  reload_ = std::clamp<PitTicks>(reload_, 1, 65'536);
  next_reload_ = std::clamp<PitTicks>(next_reload_, 1, 65'536);
  start_ = std::clamp<PitTicks>(start_, now - (PitTicks{1} << 40), now + 1);
  held_ = std::clamp<PitTicks>(held_, 0, PitTicks{1} << 40);
  latched_bytes_ = std::min<uint8_t>(latched_bytes_, 2);
}

}  // namespace eidolon::device
