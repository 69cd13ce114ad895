// The tables as firmware gets them by fw_cfg: two files, and a script that says where to put them, which of
// their fields are pointers, and what to sum up (QEMU, hw/acpi/bios-linker-loader; both SeaBIOS and OVMF run
// it).
#pragma once

#include <cstdint>
#include <vector>

#include "boot/acpi.h"

namespace eidolon::boot {

inline constexpr const char* kAcpiTablesFile = "etc/acpi/tables";
inline constexpr const char* kAcpiRsdpFile = "etc/acpi/rsdp";
inline constexpr const char* kAcpiLoaderFile = "etc/table-loader";

[[nodiscard]] std::vector<uint8_t> make_loader_script(const AcpiBlob& blob);

}  // namespace eidolon::boot
