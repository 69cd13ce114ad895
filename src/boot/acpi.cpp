#include "boot/acpi.h"

#include "base/bits.h"
#include "base/try.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kTableAlignment = 64;  ///< what the FACS needs
constexpr uint64_t kRsdpSize = 36;

/// Firmware control structure (5.2.10): no checksum, no creator.
AcpiTable make_facs() {
  AcpiTable facs(64);
  put<uint32_t>(facs, 0, 0x53434146);  // "FACS"
  put<uint32_t>(facs, 4, 64);
  put<uint8_t>(facs, 32, 2);
  return facs;
}

AcpiTable make_rsdp(uint64_t xsdt) {
  AcpiTable rsdp(kRsdpSize);
  put<uint64_t>(rsdp, 0, 0x2052545020445352);  // "RSD PTR "
  for (size_t i = 0; i < kAcpiOem.size(); ++i) rsdp[9 + i] = static_cast<uint8_t>(kAcpiOem[i]);
  rsdp[15] = 2;
  put<uint32_t>(rsdp, 20, kRsdpSize);
  put<uint64_t>(rsdp, 24, xsdt);
  rsdp[8] = acpi_checksum(Image(rsdp).first(20));
  rsdp[32] = acpi_checksum(rsdp);
  return rsdp;
}

}  // namespace

Result<uint64_t> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config) {
  if (config.processors == 0 || config.processors > 255)
    return fail("{} processors cannot be described to the guest; use 1 to 255", config.processors);
  uint64_t next = kFirmwareBase + kTableAlignment;  // the RSDP comes first
  const auto place = [&](const AcpiTable& table) -> Result<uint64_t> {
    const uint64_t at = next;
    next = align_up(at + table.size(), kTableAlignment);
    EIDOLON_TRY(place_table(memory, at, table));
    return at;
  };
  const uint64_t facs = EIDOLON_TRY(place(make_facs()));
  const uint64_t dsdt = EIDOLON_TRY(place(make_dsdt(config)));
  AcpiTable xsdt = begin_table("XSDT", 1);
  append(xsdt,
         EIDOLON_TRY(place(make_fadt(config, static_cast<uint32_t>(facs), static_cast<uint32_t>(dsdt)))));
  append(xsdt, EIDOLON_TRY(place(make_madt(config))));
  append(xsdt, EIDOLON_TRY(place(make_hpet(config))));
  append(xsdt, EIDOLON_TRY(place(make_mcfg())));
  const uint64_t root = EIDOLON_TRY(place(finish_table(std::move(xsdt))));
  EIDOLON_TRY(place_table(memory, kFirmwareBase, make_rsdp(root)));
  return kFirmwareBase;
}

}  // namespace eidolon::boot
