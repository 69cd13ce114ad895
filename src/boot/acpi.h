// The ACPI tables of the machine (ACPI 6.4, chapter 5): RSDP, RSDT, XSDT, FADT, FACS, DSDT, MADT, HPET,
// SRAT and MCFG. Without firmware they are written to its range below 1 MiB, where an operating system looks
// for the RSDP by itself too; firmware gets them by fw_cfg and puts them where it likes (acpi_loader.h).
#pragma once

#include <array>

#include "base/result.h"
#include "boot/acpi_table.h"
#include "boot/memory_layout.h"
#include "memory/guest_memory.h"
#include "x86/topology.h"

namespace eidolon::boot {

/// The root bus. As it is without firmware: the windows of memory_layout.h.
struct PciConfig {
  unsigned first_pin = 16;                         ///< of the I/O APIC: PIRQ A
  std::array<uint8_t, 4> irqs = {10, 10, 11, 11};  ///< of the 8259 pair: PIRQ A to D
  uint64_t config_base = kPciConfigBase;           ///< of configuration space in memory; 0: it is not there
  uint64_t low_base = kMmioHoleBase;               ///< of what BARs below 4 GiB may take
  uint64_t high_base = 0;                          ///< of the window for 64-bit BARs; 0: none
  uint64_t high_bytes = kPciHighBytes;
};

struct AcpiConfig {
  x86::Topology topology{};             ///< valid()
  unsigned present = 0;                 ///< processors that are there at the start; 0: all
  bool cpu_hotplug = false;             ///< they can come and go: device/chipset/cpu_hotplug.h
  uint64_t generation_base = 0;         ///< of device/chipset/generation_id.h; 0: it is not there
  unsigned virtio = 0;                  ///< devices of virtio over MMIO
  uint8_t io_apic_id = 0;               ///< as its ID register reads
  uint32_t hpet_block_id = 0x8086a201;  ///< low half of the HPET's capabilities: here 3 comparators, 64 bits
  bool pm_timer_32bit = false;          ///< the PM timer counts 32 bits, not 24
  bool vga = false;                     ///< there is a VGA adapter
  uint16_t pm_base = kPmEventPort;      ///< of the ports of power management
  PciConfig pci{};
  RamSizes ram{};  ///< for the SRAT; without RAM there is none

  [[nodiscard]] bool has_events() const { return cpu_hotplug || generation_base != 0; }
};

/// All tables in one piece that does not know yet where it will be: pointers are offsets in it, and checksums
/// zero.
struct AcpiBlob {
  struct Pointer {
    uint32_t at;
    uint8_t size;  ///< 4 or 8 bytes
  };
  struct Checksum {
    uint32_t at, begin, length;
  };
  static constexpr uint32_t kAlignment = 64;  ///< what the FACS needs

  std::vector<uint8_t> tables;
  std::vector<Pointer> pointers;
  std::vector<Checksum> checksums;
  std::vector<uint8_t> rsdp;  ///< its pointers are offsets in `tables` too
  std::vector<Pointer> rsdp_pointers;
  std::vector<Checksum> rsdp_checksums;  ///< in this order
};
[[nodiscard]] AcpiBlob make_acpi(const AcpiConfig& config);

/// Writes the tables and returns the RSDP's address.
[[nodiscard]] Result<uint64_t> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config);

/// The MADT's entry of one processor that is there, as its device in the DSDT repeats it.
[[nodiscard]] std::vector<uint8_t> madt_entry(const AcpiConfig& config, unsigned processor);

// The single tables, complete with checksum.
[[nodiscard]] AcpiTable make_dsdt(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_fadt(const AcpiConfig& config, uint32_t facs, uint32_t dsdt);
[[nodiscard]] AcpiTable make_madt(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_srat(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_hpet(const AcpiConfig& config);
[[nodiscard]] AcpiTable make_mcfg(const AcpiConfig& config = {});

}  // namespace eidolon::boot
