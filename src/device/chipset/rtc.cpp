// Registers, memory and time. Flags and interrupts are in rtc_interrupts.cpp.
#include "device/chipset/rtc.h"

#include <algorithm>

#include "device/chipset/calendar.h"
#include "device/chipset/rtc_registers.h"

namespace eidolon::device {

using namespace rtc;

Rtc::Rtc(TimerQueue& timers, IrqLine& irq, Nanoseconds utc, const MemorySizes& memory)
    : timers_(timers), irq_(irq), timer_(timers, [this] { expired(); }) {
  offset_ = std::clamp<Nanoseconds>(utc, 0, kLatestTime) - timers.clock().now();
  memory_[kRegisterA] = kDividerNormal | 6;  // 1024 Hz
  memory_[kRegisterB] = kB24Hour;
  fill_memory(memory);
  reset();
}

void Rtc::reset() {
  std::lock_guard lock(mutex_);
  index_ = 0;
  flags_ = 0;
  seen_ = time();
  transition(memory_[kRegisterA], memory_[kRegisterB] & static_cast<uint8_t>(~(kBInterrupts | kBSquareWave)));
  update_irq();
}

/// Where firmware leaves the sizes that old kernels and boot loaders look for.
void Rtc::fill_memory(const MemorySizes& memory) {
  const auto put16 = [this](unsigned at, uint64_t value) {
    memory_[at] = static_cast<uint8_t>(value);
    memory_[at + 1] = static_cast<uint8_t>(value >> 8);
  };
  constexpr uint64_t kMiB = 1u << 20;
  const auto above = [&](uint64_t start) { return memory.below_4g > start ? memory.below_4g - start : 0; };
  const uint64_t extended_kib = std::min<uint64_t>(above(kMiB) >> 10, 0xffff);
  put16(0x15, 640);
  put16(0x17, extended_kib);
  put16(0x30, extended_kib);
  put16(0x34, std::min<uint64_t>(above(16 * kMiB) >> 16, 0xffff));
  const uint64_t high = memory.above_4g >> 16;
  put16(0x5b, high);
  memory_[0x5d] = static_cast<uint8_t>(high >> 16);
  memory_[0x14] = 0x02;  // equipment: a coprocessor
  // Where SeaBIOS has the order to boot in, for devices that its list by path does not name: disk, CD-ROM,
  // floppy.
  memory_[0x3d] = 0x32;
  memory_[0x38] = 0x10;
  sum_memory();
}

void Rtc::sum_memory() {
  unsigned sum = 0;
  for (unsigned i = 0x10; i < 0x2e; ++i) sum += memory_[i];
  memory_[0x2e] = static_cast<uint8_t>(sum >> 8);
  memory_[0x2f] = static_cast<uint8_t>(sum);
}

void Rtc::set_floppies(uint8_t first, uint8_t second) {
  constexpr uint8_t kHasFloppy = 0x01, kHasTwo = 0x40;
  std::lock_guard lock(mutex_);
  memory_[0x10] = static_cast<uint8_t>(first << 4 | second);
  if (first != 0) memory_[0x14] |= kHasFloppy;
  if (second != 0) memory_[0x14] |= kHasTwo;
  sum_memory();
}

bool Rtc::nmi_masked() const {
  std::lock_guard lock(mutex_);
  return (index_ & 0x80) != 0;
}

uint8_t Rtc::read(unsigned offset) {
  if (offset == 0) return 0xff;  // the index is write-only
  std::lock_guard lock(mutex_);
  return read_register(index_ & 0x7f);
}

void Rtc::write(unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  if (offset == 0) {
    index_ = value;
  } else {
    write_register(index_ & 0x7f, value);
  }
}

uint8_t Rtc::read_register(unsigned index) {
  if (is_time(index) && !stopped()) store_time();
  switch (index) {
    case kRegisterA:
      return static_cast<uint8_t>(memory_[kRegisterA] | (update_in_progress() ? kAUpdating : 0));
    case kRegisterC: {
      collect();
      const uint8_t enabled = flags_ & memory_[kRegisterB] & kBInterrupts;
      const auto value = static_cast<uint8_t>(flags_ | (enabled != 0 ? kCRequest : 0));
      flags_ = 0;
      update_irq();
      return value;
    }
    case kRegisterD:
      return kDValid;
    default:
      return memory_[index];
  }
}

void Rtc::write_register(unsigned index, uint8_t value) {
  switch (index) {
    case kRegisterA:
      write_a(value);
      break;
    case kRegisterB:
      write_b(value);
      break;
    case kRegisterC:
    case kRegisterD:
      break;
    default:
      collect();  // what happened under the old time or alarm
      if (is_time(index) && !stopped()) {
        const Nanoseconds fraction = time() % kSecond;
        store_time();
        memory_[index] = value;
        take_time(fraction);
      } else {
        memory_[index] = value;
      }
      update_irq();
  }
}

void Rtc::write_a(uint8_t value) {
  collect();
  transition(value & static_cast<uint8_t>(~kAUpdating), memory_[kRegisterB]);
  update_irq();
}

void Rtc::write_b(uint8_t value) {
  collect();
  if ((value & kBSet) != 0) value &= static_cast<uint8_t>(~kBUpdateInterrupt);  // SET clears UIE
  transition(memory_[kRegisterA], value);
  update_irq();
}

/// New control registers: the time stops or runs on, from what the registers show.
void Rtc::transition(uint8_t a, uint8_t b) {
  const bool was_stopped = stopped();
  const bool was_reset = divider_reset(memory_[kRegisterA]);
  // The registers are converted while they still have their old format.
  if (!was_stopped) store_time();
  memory_[kRegisterA] = a;
  const uint8_t format = (b ^ memory_[kRegisterB]) & (kBBinary | kB24Hour);
  memory_[kRegisterB] = b;
  if (!was_stopped && format != 0) store_time();
  if (!was_stopped || stopped()) return;
  // Out of divider reset, the first update comes after half a second (datasheet, "Divider control").
  take_time(was_reset ? kSecond / 2 : 0);
}

bool Rtc::stopped() const { return (memory_[kRegisterB] & kBSet) != 0 || divider_reset(memory_[kRegisterA]); }

bool Rtc::update_in_progress() const { return !stopped() && time() % kSecond >= kSecond - kUpdateWindow; }

void Rtc::store_time() {
  const CalendarTime t = to_calendar(time() / kSecond);
  memory_[kSeconds] = encode(t.second);
  memory_[kMinutes] = encode(t.minute);
  memory_[kHours] = encode_hour(t.hour);
  memory_[kWeekday] = encode(t.weekday);
  memory_[kDay] = encode(t.day);
  memory_[kMonth] = encode(t.month);
  memory_[kYear] = encode(t.year % 100);
  memory_[kCentury] = encode(t.year / 100);
}

/// The time becomes what the registers say, `fraction` ns into the second.
void Rtc::take_time(Nanoseconds fraction) {
  const int century = std::clamp(decode(memory_[kCentury]), 19, 22);
  const CalendarTime t{.year = century * 100 + decode(memory_[kYear]),
                       .month = std::clamp(decode(memory_[kMonth]), 1, 12),
                       .day = std::clamp(decode(memory_[kDay]), 1, 31),
                       .hour = decode_hour(memory_[kHours]),
                       .minute = decode(memory_[kMinutes]),
                       .second = decode(memory_[kSeconds]),
                       .weekday = 0};
  // Held to 1970 to 2261, which nanoseconds can count.
  const int64_t seconds = std::clamp<int64_t>(from_calendar(t), 0, kLatestTime / kSecond);
  offset_ = seconds * kSecond + fraction - timers_.clock().now();
  seen_ = time();
}

uint8_t Rtc::encode(int value) const {
  if ((memory_[kRegisterB] & kBBinary) != 0) return static_cast<uint8_t>(value);
  return static_cast<uint8_t>(value / 10 << 4 | value % 10);
}

int Rtc::decode(uint8_t value) const {
  return (memory_[kRegisterB] & kBBinary) != 0 ? value : (value >> 4) * 10 + (value & 0xf);
}

uint8_t Rtc::encode_hour(int hour) const {
  if ((memory_[kRegisterB] & kB24Hour) != 0) return encode(hour);
  const int twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<uint8_t>(encode(twelve) | (hour >= 12 ? kAfternoon : 0));
}

int Rtc::decode_hour(uint8_t value) const {
  if ((memory_[kRegisterB] & kB24Hour) != 0) return decode(value);
  const int twelve = decode(value & static_cast<uint8_t>(~kAfternoon)) % 12;
  return twelve + ((value & kAfternoon) != 0 ? 12 : 0);
}

void Rtc::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(offset_, seen_, index_, flags_, memory_);
  to.end();
}

void Rtc::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  Nanoseconds offset = 0, seen = 0;
  uint8_t index = 0, flags = 0;
  std::array<uint8_t, 128> memory{};
  from.begin(name());
  from(offset, seen, index, flags, memory);
  from.end();
  if (from.failed()) return;
  offset_ = std::clamp<Nanoseconds>(offset, -kLatestTime, kLatestTime);
  offset_ = std::max(offset_, -timers_.clock().now());
  seen_ = std::clamp<Nanoseconds>(seen, 0, time());
  index_ = index;
  flags_ = flags & kBInterrupts;
  memory_ = memory;
  memory_[kRegisterA] &= static_cast<uint8_t>(~kAUpdating);
  update_irq();
}

}  // namespace eidolon::device
