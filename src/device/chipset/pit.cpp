#include "device/chipset/pit.h"

#include <algorithm>

namespace eidolon::device {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
/// Memory refresh toggles bit 4 of port 0x61 every 15.085 us (18 ticks of channel 1).
constexpr Nanoseconds kRefreshPeriod = 15'085;

constexpr uint8_t kSpeakerGate = 0x01;
constexpr uint8_t kSpeakerWritable = 0x0f;
constexpr uint8_t kSpeakerRefresh = 0x10;
constexpr uint8_t kSpeakerOutput = 0x20;

PitTicks to_ticks(Nanoseconds ns) {
  return static_cast<PitTicks>(static_cast<__int128>(ns) * Pit::kHz / kNsPerSecond);
}

/// The first nanosecond at which `ticks` have passed.
Nanoseconds to_ns(PitTicks ticks) {
  return static_cast<Nanoseconds>((static_cast<__int128>(ticks) * kNsPerSecond + Pit::kHz - 1) / Pit::kHz);
}

}  // namespace

Pit::Pit(TimerQueue& timers, IrqLine& irq)
    : timers_(timers), irq_(irq), timer_(timers, [this] { expired(); }) {
  reset();
}

PitTicks Pit::now() const { return to_ticks(timers_.clock().now()); }

void Pit::reset() {
  std::lock_guard lock(mutex_);
  for (PitChannel& channel : channels_) channel.reset();
  speaker_ = 0;
  channels_[2].set_gate(false, now());
  irq_.set(false);
  arm(0);
}

uint8_t Pit::read(unsigned offset) {
  std::lock_guard lock(mutex_);
  return offset < 3 ? channels_[offset].read(now()) : 0xff;  // the control word cannot be read
}

void Pit::write(unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  if (offset == 3) {
    write_control(value);
  } else if (offset < 3) {
    channels_[offset].write_count(value, now());
    if (offset == 0) arm(0);
  }
}

void Pit::write_control(uint8_t value) {
  const PitTicks time = now();
  const unsigned select = value >> 6;
  if (select == 3) {  // read-back
    for (unsigned i = 0; i < 3; ++i) {
      if ((value & 2u << i) == 0) continue;
      if ((value & 0x20) == 0) channels_[i].latch_count(time);
      if ((value & 0x10) == 0) channels_[i].latch_status(time);
    }
  } else if ((value & 0x30) == 0) {
    channels_[select].latch_count(time);
  } else {
    channels_[select].write_control(value & 0x3f, time);
    if (select != 0) return;
    irq_.set(false);
    arm(0);
  }
}

uint8_t Pit::read_speaker(unsigned /*offset*/) {
  std::lock_guard lock(mutex_);
  const bool refresh = (timers_.clock().now() / kRefreshPeriod & 1) != 0;
  const bool output = channels_[2].output(now());
  return static_cast<uint8_t>(speaker_ | (refresh ? kSpeakerRefresh : 0) | (output ? kSpeakerOutput : 0));
}

void Pit::write_speaker(unsigned /*offset*/, uint8_t value) {
  std::lock_guard lock(mutex_);
  speaker_ = value & kSpeakerWritable;
  channels_[2].set_gate((value & kSpeakerGate) != 0, now());
}

void Pit::arm(Nanoseconds not_before) {
  const auto rise = channels_[0].next_rise(now());
  if (!rise) {
    rise_ = -1;
    timer_.cancel();
    return;
  }
  rise_ = std::max(to_ns(*rise), not_before);
  timer_.arm(rise_);
}

void Pit::expired() {
  std::lock_guard lock(mutex_);
  const Nanoseconds time = timers_.clock().now();
  if (rise_ < 0 || time < rise_) return;  // the channel was set anew meanwhile
  // OUT went low before it rose: in mode 2 for one clock, which nobody sees.
  irq_.set(false);
  irq_.set(true);
  arm(time + kShortestPeriod);
}

void Pit::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  for (const PitChannel& channel : channels_) PitChannel::fields(channel, to);
  to(speaker_);
  to.end();
}

void Pit::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  std::array<PitChannel, 3> channels;
  uint8_t speaker = 0;
  from.begin(name());
  for (PitChannel& channel : channels) PitChannel::fields(channel, from);
  from(speaker);
  from.end();
  if (from.failed()) return;
  for (PitChannel& channel : channels) channel.sanitize(now());
  channels_ = channels;
  speaker_ = speaker & kSpeakerWritable;
  arm(0);
}

}  // namespace eidolon::device
