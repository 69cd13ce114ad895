#include "device/chipset/acpi_pm.h"

#include "base/bits.h"

namespace eidolon::device {

namespace {

enum Offset : unsigned { kStatus = 0, kEnable = 2, kControl = 4 };

constexpr uint16_t kTimerStatus = 1u << 0;
constexpr uint16_t kPowerButton = 1u << 8;
constexpr uint16_t kStatusBits = 0x8721;  ///< WAK, RTC, SLPBTN, PWRBTN, GBL, TMR: written 1 to clear
constexpr uint16_t kEnableBits = 0x0721;

constexpr uint16_t kSciEnable = 1u << 0;
constexpr uint16_t kSleepEnable = 1u << 13;  ///< write-only
constexpr uint16_t kControlBits = 0x1c02;    ///< SLP_TYP and BM_RLD

constexpr int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

AcpiPm::AcpiPm(TimerQueue& timers, IrqLine& sci, MachineControl& machine, unsigned timer_bits)
    : timers_(timers),
      sci_(sci),
      machine_(machine),
      timer_bits_(timer_bits == 24 ? 24 : 32),
      timer_(timers, [this] { expired(); }) {
  reset();
}

void AcpiPm::reset() {
  std::lock_guard lock(mutex_);
  status_ = enable_ = control_ = 0;
  halves_ = ticks() >> (timer_bits_ - 1);
  update_sci();
}

uint64_t AcpiPm::ticks() const {
  const auto ns = static_cast<unsigned __int128>(timers_.clock().now());
  return static_cast<uint64_t>(ns * kTimerHz / kNsPerSecond);
}

/// TMR_STS is set whenever the timer's top bit changes (4.8.3.3).
void AcpiPm::collect() {
  const uint64_t halves = ticks() >> (timer_bits_ - 1);
  if (halves != halves_) status_ |= kTimerStatus;
  halves_ = halves;
}

void AcpiPm::update_sci() {
  const bool asserted = (status_ & enable_) != 0;
  sci_.set(asserted);
  if (asserted || (enable_ & kTimerStatus) == 0) {
    timer_.cancel();
    return;
  }
  const auto tick = static_cast<unsigned __int128>(halves_ + 1) << (timer_bits_ - 1);
  timer_.arm(static_cast<Nanoseconds>((tick * kNsPerSecond + kTimerHz - 1) / kTimerHz));
}

void AcpiPm::expired() {
  std::lock_guard lock(mutex_);
  collect();
  update_sci();
}

void AcpiPm::press_power_button() {
  std::lock_guard lock(mutex_);
  status_ |= kPowerButton;
  update_sci();
}

uint8_t AcpiPm::read_byte(unsigned offset) {
  const unsigned shift = offset % 2 * 8;
  switch (offset & ~1u) {
    case kStatus:
      return static_cast<uint8_t>(status_ >> shift);
    case kEnable:
      return static_cast<uint8_t>(enable_ >> shift);
    case kControl:
      return static_cast<uint8_t>((control_ | kSciEnable) >> shift);
    default:
      return 0;
  }
}

/// Returns whether the byte asks for a sleep state.
bool AcpiPm::write_byte(unsigned offset, uint8_t value) {
  const unsigned shift = offset % 2 * 8;
  const auto wide = static_cast<uint16_t>(value << shift);
  const auto lane = static_cast<uint16_t>(0xff << shift);
  const auto merge = [&](uint16_t& field, uint16_t writable) {
    field = static_cast<uint16_t>((field & ~lane) | (wide & writable));
  };
  switch (offset & ~1u) {
    case kStatus:
      status_ &= static_cast<uint16_t>(~(wide & kStatusBits));
      break;
    case kEnable:
      merge(enable_, kEnableBits);
      break;
    case kControl:
      merge(control_, kControlBits);
      return (wide & kSleepEnable) != 0;
    default:
      break;
  }
  return false;
}

uint64_t AcpiPm::io_read(uint64_t offset, unsigned size) {
  // The timer is read often, and needs no lock: it is the clock.
  if (offset >= kTimerOffset) {
    if (offset >= kTimerOffset + 4) return 0;
    return (ticks() & mask_below(timer_bits_)) >> ((offset - kTimerOffset) * 8) & mask_below(size * 8);
  }
  std::lock_guard lock(mutex_);
  collect();
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= uint64_t{read_byte(static_cast<unsigned>(offset) + i)} << (8 * i);
  update_sci();
  return value;
}

void AcpiPm::io_write(uint64_t offset, unsigned size, uint64_t value) {
  bool off = false;
  {
    std::lock_guard lock(mutex_);
    collect();
    bool sleep = false;
    for (unsigned i = 0; i < size; ++i)
      sleep |= write_byte(static_cast<unsigned>(offset) + i, static_cast<uint8_t>(value >> (8 * i)));
    update_sci();
    const uint64_t type = bits(control_, 12, 10);
    off = sleep && (type == kSleepTypeS5 || type == kSleepTypeOvmf);  // no other sleep state is offered
  }
  if (off) machine_.power_off();
}

void AcpiPm::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(status_, enable_, control_, halves_);
  to.end();
}

void AcpiPm::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint16_t status = 0, enable = 0, control = 0;
  uint64_t halves = 0;
  from.begin(name());
  from(status, enable, control, halves);
  from.end();
  if (from.failed()) return;
  status_ = status & kStatusBits;
  enable_ = enable & kEnableBits;
  control_ = control & kControlBits;
  halves_ = halves & mask_below(33);
  collect();
  update_sci();
}

}  // namespace eidolon::device
