#include "machine/processor_bus.h"

namespace eidolon::machine {

using interrupt::LocalApic;

ProcessorBus::ProcessorBus(const memory::IoBus& shared, LocalApic& apic) : shared_(shared), apic_(apic) {
  bus_.set_fallback(&shared_);
  apic_.set_base_observer([this](uint64_t address) { move_apic(address); });
  move_apic(LocalApic::kAddress);
}

void ProcessorBus::reset_apic() {
  apic_.reset();
  move_apic(LocalApic::kAddress);
}

void ProcessorBus::move_apic(uint64_t address) {
  if (apic_page_ != 0) bus_.detach(apic_page_);
  apic_page_ = 0;
  if (address == 0 || shared_.has_handler(address)) return;
  if (bus_.attach(address, LocalApic::kLength, apic_, "lapic")) apic_page_ = address;
}

}  // namespace eidolon::machine
