// What the guest is told about its machine: fw_cfg's items, ACPI and SMBIOS.
#pragma once

#include "base/result.h"
#include "boot/acpi.h"
#include "boot/smbios.h"
#include "device/chipset/fw_cfg.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/root.h"
#include "machine/boot_order.h"
#include "machine/machine_config.h"
#include "memory/guest_memory.h"

namespace eidolon::machine {

/// Of the PCI bus, what ACPI has to say depends on what firmware did.
struct PciParts {
  const device::pci::Root& root;
  const device::pci::HostBridge& bridge;
  const device::pci::Lpc& lpc;
  bool vga = false;     ///< there is a VGA adapter
  unsigned virtio = 0;  ///< devices of virtio that are on no PCI bus
};
/// `present` as MachineConfig has it.
[[nodiscard]] boot::AcpiConfig acpi_config(const memory::GuestMemory& memory, const PciParts& pci,
                                           const x86::Topology& topology, unsigned present);
[[nodiscard]] boot::SmbiosConfig smbios_config(const memory::GuestMemory& memory,
                                               const FirmwareConfig& config, const x86::Topology& topology);

/// The items that any guest may read: sizes, and what the user wants it to have.
Result<> add_common_items(device::FwCfg& fw_cfg, const MachineConfig& config,
                          const memory::GuestMemory& memory);
/// What firmware needs besides. `memory` and `pci` outlive `fw_cfg`.
Result<> add_firmware_items(device::FwCfg& fw_cfg, const MachineConfig& config,
                            const memory::GuestMemory& memory, const PciParts& pci, const BootOrder& order);

}  // namespace eidolon::machine
