// The common form of ACPI tables: header, fields, checksum (ACPI 6.4, 5.2.6).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "boot/image.h"

namespace eidolon::boot {

inline constexpr std::string_view kAcpiOem = "EIDOLO";         ///< 6 characters
inline constexpr std::string_view kAcpiOemTable = "EIDOLON ";  ///< 8 characters

using AcpiTable = std::vector<uint8_t>;

/// A header; fields and structures are appended to it.
[[nodiscard]] AcpiTable begin_table(std::string_view signature, uint8_t revision);
/// Fills in length and checksum: the last step.
[[nodiscard]] AcpiTable finish_table(AcpiTable table);
/// What makes the bytes sum to zero.
[[nodiscard]] uint8_t acpi_checksum(Image bytes);

/// Generic address structure (5.2.3.2).
struct [[gnu::packed]] AcpiAddress {
  static constexpr uint8_t kMemory = 0, kIo = 1;
  uint8_t space = 0, bit_width = 0, bit_offset = 0, access_size = 0;
  uint64_t address = 0;
};
static_assert(sizeof(AcpiAddress) == 12);

}  // namespace eidolon::boot
