// Registers. Comparators and their interrupts are in hpet_comparators.cpp.
#include "device/chipset/hpet.h"

#include <algorithm>

#include "base/bits.h"
#include "device/chipset/hpet_registers.h"

namespace eidolon::device {

using namespace hpet;

namespace {
constexpr uint32_t kVersion = 2;  ///< of the saved state
}

Hpet::Hpet(TimerQueue& timers, const Wiring& wiring) : timers_(timers), wiring_(wiring) {
  for (unsigned n = 0; n < kTimers; ++n)
    host_timers_[n] = std::make_unique<Timer>(timers, [this, n] { expired(n); });
  reset();
}

void Hpet::reset() {
  std::lock_guard lock(mutex_);
  config_ = status_ = base_ = 0;
  comparators_ = {};
  drop_lines();
  for (GatedLine* gate : wiring_.gates)
    if (gate != nullptr) gate->set_open(true);
  arm_all();
}

bool Hpet::running() const { return (config_ & kEnable) != 0; }
bool Hpet::legacy() const { return (config_ & kLegacy) != 0; }

uint64_t Hpet::counter() const {
  if (!running()) return base_;
  return base_ + static_cast<uint64_t>((timers_.clock().now() - start_) / kTick);
}

uint64_t Hpet::read_register(uint64_t offset) const {
  switch (offset) {
    case kCapabilities:
      return kCapabilityValue;
    case kConfig:
      return config_;
    case kStatus:
      return status_;
    case kCounter:
      return counter();
    default:
      break;
  }
  if (offset < kTimerBase || offset >= kTimerBase + kTimers * kTimerStride) return 0;
  const Comparator& comparator = comparators_[(offset - kTimerBase) / kTimerStride];
  switch ((offset - kTimerBase) % kTimerStride) {
    case kTimerConfig:
      return comparator.config | kTimerCapabilities;
    case kTimerComparator:
      return (comparator.config & k32Bit) != 0 ? comparator.value & mask_below(32) : comparator.value;
    default:
      return 0;  // FSB route: not offered
  }
}

uint64_t Hpet::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const unsigned within = static_cast<unsigned>(offset & 7);
  return read_register(offset & ~uint64_t{7}) >> (within * 8) & mask_below(size * 8);
}

void Hpet::io_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  const unsigned shift = static_cast<unsigned>(offset & 7) * 8;
  if (shift + size * 8 > 64) return;  // across two registers: undefined, nothing happens
  write_register(offset & ~uint64_t{7}, value << shift, mask_below(size * 8) << shift);
}

/// `lane` are the bits that the access covers; `value` is already in its place.
void Hpet::write_register(uint64_t offset, uint64_t value, uint64_t lane) {
  const uint64_t merged = (read_register(offset) & ~lane) | (value & lane);
  switch (offset) {
    case kConfig:
      write_config(merged & (kEnable | kLegacy));
      return;
    case kStatus:
      write_status(value & lane);
      return;
    case kCounter:
      if (!running()) base_ = merged;  // writes to a running counter are undefined
      return;
    default:
      break;
  }
  if (offset < kTimerBase || offset >= kTimerBase + kTimers * kTimerStride) return;
  const auto n = static_cast<unsigned>((offset - kTimerBase) / kTimerStride);
  const uint64_t within = (offset - kTimerBase) % kTimerStride;
  if (within == kTimerConfig) write_timer_config(n, merged & kTimerWritable);
  if (within == kTimerComparator) write_comparator(n, value, lane);
}

void Hpet::write_config(uint64_t value) {
  const bool legacy_changes = ((value ^ config_) & kLegacy) != 0;
  base_ = counter();
  start_ = timers_.clock().now();
  if (legacy_changes) drop_lines();  // the lines move: none is left asserted behind
  config_ = value;
  if (legacy_changes)
    for (GatedLine* gate : wiring_.gates)
      if (gate != nullptr) gate->set_open(!legacy());
  arm_all();
}

void Hpet::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), kVersion);
  to(config_, status_, counter());
  for (const Comparator& c : comparators_) to(c.config, c.value, c.period, c.due);
  for (const GatedLine* gate : wiring_.gates) to(gate != nullptr && gate->level());
  to.end();
}

void Hpet::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint64_t config = 0, status = 0, base = 0;
  std::array<Comparator, kTimers> comparators;
  std::array<bool, 2> gate_levels{};
  if (from.begin(name()) != kVersion) from.fail();
  from(config, status, base);
  for (Comparator& c : comparators) from(c.config, c.value, c.period, c.due);
  from(gate_levels);
  from.end();
  if (from.failed()) return;
  drop_lines();
  config_ = config & (kEnable | kLegacy);
  status_ = status & mask_below(kTimers);
  base_ = base;
  start_ = timers_.clock().now();
  comparators_ = comparators;
  for (Comparator& c : comparators_) c.config &= kTimerWritable;
  for (unsigned i = 0; i < wiring_.gates.size(); ++i) {
    if (wiring_.gates[i] == nullptr) continue;
    wiring_.gates[i]->set(gate_levels[i]);
    wiring_.gates[i]->set_open(!legacy());
  }
  for (unsigned n = 0; n < kTimers; ++n)
    if (IrqLine* line = line_of(n); line != nullptr && bit(status_, n)) line->set(true);
  resume_all();
}

}  // namespace eidolon::device
