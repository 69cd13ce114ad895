#include "device/pci/pirq.h"

#include "base/assert.h"
#include "base/bits.h"

namespace eidolon::device::pci {

namespace {
/// 3-7, 9-12, 14 and 15: the others are taken or reserved (13.1.17).
constexpr uint16_t kRoutable = 0xdef8;
}  // namespace

Pirq::Pirq(interrupt::IrqRouter& irqs) {
  routes_.fill(kNotRouted);
  for (unsigned line = 0; line < kLines; ++line) pins_[line] = &irqs.pin(kFirstPin + line);
  for (unsigned irq = 0; irq < isa_.size(); ++irq)
    if (bit(kRoutable, irq)) isa_[irq] = &irqs.isa(irq);
}

interrupt::IrqLine& Pirq::source(unsigned line) {
  EIDOLON_ASSERT(line < kLines);
  return sources_.emplace_back(*this, line);
}

void Pirq::set(Source& source, bool level) {
  std::lock_guard lock(mutex_);
  if (source.level_ == level) return;
  source.level_ = level;
  unsigned& count = asserted_[source.line_];
  count += level ? 1u : ~0u;
  pins_[source.line_]->set(count != 0);
  update_isa();
}

void Pirq::route(unsigned line, uint8_t value) {
  std::lock_guard lock(mutex_);
  routes_[line] = value;
  update_isa();
}

void Pirq::update_isa() {
  uint32_t levels = 0;
  for (unsigned line = 0; line < kLines; ++line)
    if (asserted_[line] != 0 && (routes_[line] & kNotRouted) == 0) levels |= 1u << (routes_[line] & 15);
  for (unsigned irq = 0; irq < isa_.size(); ++irq)
    if (isa_[irq] != nullptr) isa_[irq]->set(bit(levels, irq));
}

}  // namespace eidolon::device::pci
