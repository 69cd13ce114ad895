#include "interrupt/irq_router.h"

#include "base/assert.h"

namespace eidolon::interrupt {

IrqLine& IrqRouter::isa(unsigned irq) {
  EIDOLON_ASSERT(irq < 16);
  return sources_.emplace_back(*this, pin_of_isa(irq));
}

IrqLine& IrqRouter::pin(unsigned pin) {
  EIDOLON_ASSERT(pin < IoApic::kPins);
  return sources_.emplace_back(*this, pin);
}

void IrqRouter::set(Source& source, bool level) {
  std::lock_guard lock(mutex_);
  if (source.level_ == level) return;
  source.level_ = level;
  asserted_[source.pin_] += level ? 1u : ~0u;
  if (!held_) tell(source.pin_);
}

void IrqRouter::tell(unsigned pin) {
  const bool now = asserted_[pin] != 0;
  if (told_[pin] == now) return;
  told_[pin] = now;
  const unsigned irq = pin == pin_of_isa(0) ? 0 : pin;
  if (pic_ != nullptr && irq < 16) pic_->set_irq(irq, now);
  if (io_apic_ != nullptr) io_apic_->set_pin(pin, now);
}

void IrqRouter::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(static_cast<uint32_t>(sources_.size()));
  for (const Source& source : sources_) to(source.level_);
  to.end();
}

void IrqRouter::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint32_t count = 0;
  from.begin(name());
  from(count);
  if (count != sources_.size()) from.fail();
  std::vector<uint8_t> levels(sources_.size());
  for (uint8_t& level : levels) from(level);
  from.end();
  if (from.failed()) return;
  asserted_ = {};
  auto level = levels.begin();
  for (Source& source : sources_) {
    source.level_ = *level++ != 0;
    if (source.level_) ++asserted_[source.pin_];
  }
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin) told_[pin] = asserted_[pin] != 0;
}

void IrqRouter::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
}

void IrqRouter::release() {
  std::lock_guard lock(mutex_);
  held_ = false;
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin) tell(pin);
}

}  // namespace eidolon::interrupt
