#include "interrupt/apic_bus.h"

#include "interrupt/io_apic.h"
#include "interrupt/local_apic.h"

namespace eidolon::interrupt {

bool ApicBus::deliver(const ApicMessage& message) const {
  if (message.mode == DeliveryMode::kLowestPriority) return deliver_lowest_priority(message);
  bool taken = false;
  for (LocalApic* apic : locals_)
    if (apic->addressed_by(message)) taken |= apic->accept(message);
  return taken;
}

bool ApicBus::deliver_lowest_priority(const ApicMessage& message) const {
  LocalApic* best = nullptr;
  uint8_t best_priority = 0;
  for (LocalApic* apic : locals_) {
    if (!apic->addressed_by(message) || !apic->software_enabled()) continue;
    const uint8_t priority = apic->processor_priority();
    if (best != nullptr && priority >= best_priority) continue;
    best = apic;
    best_priority = priority;
  }
  return best != nullptr && best->accept(message);
}

void ApicBus::broadcast(const ApicMessage& message, const LocalApic* except) const {
  for (LocalApic* apic : locals_)
    if (apic != except) apic->accept(message);
}

void ApicBus::end_of_interrupt(uint8_t vector) const {
  for (IoApic* apic : ios_) apic->end_of_interrupt(vector);
}

}  // namespace eidolon::interrupt
