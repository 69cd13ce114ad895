#include "boot/acpi_table.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kLengthAt = 4;
constexpr uint64_t kChecksumAt = 9;

void append_text(AcpiTable& table, std::string_view text) {
  table.insert(table.end(), text.begin(), text.end());
}

}  // namespace

AcpiTable begin_table(std::string_view signature, uint8_t revision) {
  AcpiTable table;
  append_text(table, signature);
  append<uint32_t>(table, 0);
  append<uint8_t>(table, revision);
  append<uint8_t>(table, 0);
  append_text(table, kAcpiOem);
  append_text(table, kAcpiOemTable);
  append<uint32_t>(table, 1);  // OEM revision
  append_text(table, "EIDO");  // creator
  append<uint32_t>(table, 1);
  return table;
}

AcpiTable finish_table(AcpiTable table) {
  put<uint32_t>(table, kLengthAt, static_cast<uint32_t>(table.size()));
  table[kChecksumAt] = 0;
  table[kChecksumAt] = acpi_checksum(table);
  return table;
}

uint8_t acpi_checksum(Image bytes) {
  uint8_t sum = 0;
  for (const uint8_t byte : bytes) sum = static_cast<uint8_t>(sum + byte);
  return static_cast<uint8_t>(-sum);
}

}  // namespace eidolon::boot
