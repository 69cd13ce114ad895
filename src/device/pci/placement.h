// What firmware does for PCI before an operating system starts, for machines that have none: windows for the
// BARs, interrupt lines, and the routing of PIRQ A to H.
#pragma once

#include "base/result.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/root.h"

namespace eidolon::device::pci {

struct Windows {
  struct Range {
    uint64_t base;
    uint64_t end;
  };
  Range ports;
  Range memory32;
  Range memory64;  ///< for 64-bit BARs that memory32 has no room for
  uint64_t config;
  uint16_t pm = 0x600;  ///< the ports of power management
};

/// The 8259 interrupt of a PIRQ line as place() routes it.
[[nodiscard]] constexpr uint8_t irq_of_line(unsigned line) { return line % 4 < 2 ? 10 : 11; }

/// Gives every BAR an address and lets it answer; bus mastering is left to the drivers. The error says which
/// function found no room.
[[nodiscard]] Result<> place(Root& root, HostBridge& bridge, Lpc& lpc, const Windows& windows);

}  // namespace eidolon::device::pci
