// What a PCI function finds on the other side of its link: guest memory, the local APICs and its interrupt
// pin.
#pragma once

#include "device/pci/address_map.h"
#include "interrupt/apic_bus.h"
#include "interrupt/irq_line.h"
#include "interrupt/msi.h"
#include "memory/guest_memory.h"

namespace eidolon::device::pci {

struct Upstream {
  memory::GuestMemory& memory;
  const interrupt::ApicBus& apics;
  AddressMap& ports;
  AddressMap& addresses;
};

}  // namespace eidolon::device::pci
