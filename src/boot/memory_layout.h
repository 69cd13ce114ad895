// Where things are in the guest-physical address space: the map that the machine, the ACPI tables and the
// loaders agree on. (The PC's classic map: low memory, the hole for video and ROM, the MMIO hole below 4
// GiB.)
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

inline constexpr uint64_t kLowRamEnd = 0xa0000;
inline constexpr uint64_t kFirmwareBase = 0xe0000;  ///< RAM that holds the ACPI tables; reserved to the guest
inline constexpr uint64_t kFirmwareEnd = 0x100000;
inline constexpr uint64_t kSmbiosAnchor = 0xf0000;  ///< in the firmware's range, behind the ACPI tables
inline constexpr uint64_t kHighRamBase = 0x100000;
inline constexpr uint64_t kMmioHoleBase = 0xc0000000;  ///< RAM ends here at the latest, and goes on at 4 GiB
inline constexpr uint64_t kMmioHoleEnd = 0x100000000;
inline constexpr uint64_t kMinimumRam = 2 << 20;

/// PCI Express configuration, 256 buses; BARs of 32 bits are between RAM's hole and it.
inline constexpr uint64_t kPciConfigBase = 0xe0000000;
inline constexpr uint64_t kPciConfigEnd = 0xf0000000;
inline constexpr uint64_t kPciPortBase = 0xc000;  ///< for BARs in the port space
inline constexpr uint64_t kPciPortEnd = 0x10000;
inline constexpr uint64_t kPciHighBytes = uint64_t{16} << 30;  ///< of the window above RAM for 64-bit BARs

inline constexpr uint64_t kIoApicBase = 0xfec00000;
inline constexpr uint64_t kHpetBase = 0xfed00000;
inline constexpr uint64_t kLocalApicBase = 0xfee00000;

/// Virtio over MMIO, behind the page of device::GenerationId: a page for each device, and pins of the I/O
/// APIC, which they share in turn. PCI uses the four before them.
inline constexpr uint64_t kVirtioBase = 0xfef40000;
inline constexpr uint64_t kVirtioBytes = 0x1000;
inline constexpr unsigned kMostVirtio = 32;
inline constexpr unsigned kVirtioFirstPin = 20, kVirtioPins = 4;
[[nodiscard]] constexpr uint64_t virtio_base(unsigned number) { return kVirtioBase + number * kVirtioBytes; }
[[nodiscard]] constexpr unsigned virtio_pin(unsigned number) {
  return kVirtioFirstPin + number % kVirtioPins;
}

inline constexpr uint16_t kPmEventPort = 0x600;    ///< PM1a_EVT, 4 bytes
inline constexpr uint16_t kPmControlPort = 0x604;  ///< PM1a_CNT, 2 bytes
inline constexpr uint16_t kPmTimerPort = 0x608;    ///< PM_TMR, 4 bytes
inline constexpr uint16_t kGpe0Port = 0x620;       ///< GPE0_STS and GPE0_EN
inline constexpr uint8_t kGpe0Bytes = 16;
inline constexpr uint16_t kResetPort = 0xcf9;
inline constexpr uint8_t kResetValue = 6;
inline constexpr uint8_t kSciIrq = 9;
inline constexpr uint8_t kSleepTypeOff = 5;  ///< SLP_TYP of S5

// Low memory during the hand-over to a kernel. The loaded kernel may not lie here.
inline constexpr uint64_t kBootAreaBase = 0x1000;
inline constexpr uint64_t kGdt = 0x1000;
inline constexpr uint64_t kBootParams = 0x7000;  ///< boot_params, hvm_start_info or Multiboot information
inline constexpr uint64_t kPageTables = 0x9000;  ///< PML4, PDPT and four page directories
inline constexpr uint64_t kCommandLine = 0x20000;
inline constexpr uint64_t kMaxCommandLine = 0xffff;  ///< bytes without the final NUL
inline constexpr uint64_t kBootAreaEnd = 0x30000;

/// Gives the machine `size` bytes of RAM: 0 to 640 KiB, the firmware's 128 KiB, and from 1 MiB on, so that
/// RAM ends at `size` (the video hole is lost), or what is beyond 3 GiB goes on at 4 GiB.
[[nodiscard]] Result<> add_ram(memory::GuestMemory& memory, uint64_t size);

// With firmware: RAM ends where SeaBIOS and OVMF expect configuration space to begin at the earliest, or, if
// it goes on at 4 GiB, at 2 GiB, which leaves room for BARs. What is between 768 KiB and 1 MiB is the
// chipset's matter (device/pci/pam.h).
inline constexpr uint64_t kFirmwareHole = 0xb0000000;
inline constexpr uint64_t kFirmwareHoleOfLarge = 0x80000000;
/// Real-mode code reaches up to here, and back to 0 if the A20 gate is closed: a region of its own.
inline constexpr uint64_t kBehindA20 = 0x110000;
[[nodiscard]] Result<> add_ram_for_firmware(memory::GuestMemory& memory, uint64_t size);

/// An address range as E820, PVH and Multiboot report it.
struct MapEntry {
  static constexpr uint32_t kUsable = 1;
  static constexpr uint32_t kReserved = 2;
  uint64_t base;
  uint64_t length;
  uint32_t type;
};
/// The map that is shown to the guest, sorted.
[[nodiscard]] std::vector<MapEntry> memory_map(const memory::GuestMemory& memory);

/// Where the window for 64-bit BARs begins: above all RAM, at 16 GiB or a multiple of it.
[[nodiscard]] uint64_t pci_high_base(const memory::GuestMemory& memory);

/// RAM as the CMOS memory, E820 of firmware and SMBIOS count it.
struct RamSizes {
  uint64_t low_end = 0;  ///< where RAM below 4 GiB ends, holes included
  uint64_t high = 0;     ///< bytes from 4 GiB on
};
[[nodiscard]] RamSizes ram_sizes(const memory::GuestMemory& memory);

/// End of the usable RAM that begins at 1 MiB, or 1 MiB if there is none.
[[nodiscard]] uint64_t high_ram_end(const memory::GuestMemory& memory);

}  // namespace eidolon::boot
