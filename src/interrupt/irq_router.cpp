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
  unsigned& count = asserted_[source.pin_];
  const bool was = count != 0;
  count += level ? 1u : ~0u;
  const bool now = count != 0;
  if (was == now) return;
  const unsigned irq = source.pin_ == pin_of_isa(0) ? 0 : source.pin_;
  if (pic_ != nullptr && irq < 16) pic_->set_irq(irq, now);
  if (io_apic_ != nullptr) io_apic_->set_pin(source.pin_, now);
}

}  // namespace eidolon::interrupt
