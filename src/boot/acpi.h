// The ACPI tables of the machine (ACPI 6.4, chapter 5): RSDP, XSDT, FADT, FACS, DSDT, MADT, HPET and MCFG, in
// the firmware's range below 1 MiB, where an operating system looks for the RSDP by itself too.
#pragma once

#include <array>

#include "base/result.h"
#include "boot/acpi_table.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

/// The root bus. Its windows are those of memory_layout.h.
struct PciConfig {
  unsigned first_pin = 16;                         ///< of the I/O APIC: PIRQ A
  std::array<uint8_t, 4> irqs = {10, 10, 11, 11};  ///< of the 8259 pair: PIRQ A to D
  uint64_t high_base = 0;                          ///< of the window for 64-bit BARs; 0: none
};

struct AcpiConfig {
  unsigned processors = 1;              ///< local APIC IDs 0 to processors - 1; at most 255
  uint8_t io_apic_id = 0;               ///< as its ID register reads
  uint32_t hpet_block_id = 0x8086a201;  ///< low half of the HPET's capabilities: here 3 comparators, 64 bits
  bool pm_timer_32bit = false;          ///< the PM timer counts 32 bits, not 24
  bool vga = false;                     ///< there is a VGA adapter
  PciConfig pci{};
};

/// Writes the tables and returns the RSDP's address.
[[nodiscard]] Result<uint64_t> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config);

// The single tables, complete with checksum.
[[nodiscard]] AcpiTable make_dsdt(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_fadt(const AcpiConfig& config, uint32_t facs, uint32_t dsdt);
[[nodiscard]] AcpiTable make_madt(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_hpet(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_mcfg();

}  // namespace eidolon::boot
