#include "boot/acpi.h"

#include "base/bits.h"
#include "base/try.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kRsdpSize = 36, kRsdtAt = 16, kXsdtAt = 24;
constexpr uint32_t kHeader = 36, kChecksumAt = 9;

/// Firmware control structure (5.2.10): no checksum, no creator.
AcpiTable make_facs() {
  AcpiTable facs(64);
  put<uint32_t>(facs, 0, 0x53434146);  // "FACS"
  put<uint32_t>(facs, 4, 64);
  put<uint8_t>(facs, 32, 2);
  return facs;
}

AcpiTable make_rsdp(uint32_t rsdt, uint64_t xsdt) {
  AcpiTable rsdp(kRsdpSize);
  put<uint64_t>(rsdp, 0, 0x2052545020445352);  // "RSD PTR "
  for (size_t i = 0; i < kAcpiOem.size(); ++i) rsdp[9 + i] = static_cast<uint8_t>(kAcpiOem[i]);
  rsdp[15] = 2;
  put<uint32_t>(rsdp, kRsdtAt, rsdt);
  put<uint32_t>(rsdp, 20, kRsdpSize);
  put<uint64_t>(rsdp, kXsdtAt, xsdt);
  return rsdp;
}

/// Puts tables behind each other.
class BlobWriter {
 public:
  uint32_t add_plain(const AcpiTable& table) {
    const auto at = static_cast<uint32_t>(align_up(blob.tables.size(), AcpiBlob::kAlignment));
    blob.tables.resize(at);
    blob.tables.insert(blob.tables.end(), table.begin(), table.end());
    return at;
  }
  uint32_t add(AcpiTable table) {
    table[kChecksumAt] = 0;
    const uint32_t at = add_plain(table);
    blob.checksums.push_back({at + kChecksumAt, at, static_cast<uint32_t>(table.size())});
    return at;
  }
  /// RSDT or XSDT: a table of pointers of type T.
  template <typename T>
  uint32_t add_root(std::string_view signature, const std::vector<uint32_t>& tables) {
    AcpiTable root = begin_table(signature, 1);
    for (const uint32_t table : tables) append(root, static_cast<T>(table));
    const uint32_t at = add(finish_table(std::move(root)));
    for (uint32_t i = 0; i < tables.size(); ++i)
      blob.pointers.push_back({at + kHeader + i * static_cast<uint32_t>(sizeof(T)), sizeof(T)});
    return at;
  }
  AcpiBlob blob;
};

void relocate(std::vector<uint8_t>& bytes, const std::vector<AcpiBlob::Pointer>& pointers, uint64_t base) {
  for (const AcpiBlob::Pointer& pointer : pointers) {
    if (pointer.size == sizeof(uint32_t)) {
      put(bytes, pointer.at, static_cast<uint32_t>(field<uint32_t>(bytes, pointer.at) + base));
    } else {
      put(bytes, pointer.at, field<uint64_t>(bytes, pointer.at) + base);
    }
  }
}

void sum_up(std::vector<uint8_t>& bytes, const std::vector<AcpiBlob::Checksum>& checksums) {
  for (const AcpiBlob::Checksum& sum : checksums)
    bytes[sum.at] = acpi_checksum(Image(bytes).subspan(sum.begin, sum.length));
}

}  // namespace

AcpiBlob make_acpi(const AcpiConfig& config) {
  BlobWriter writer;
  const uint32_t facs = writer.add_plain(make_facs());
  const uint32_t dsdt = writer.add(make_dsdt(config));
  const uint32_t fadt = writer.add(make_fadt(config, facs, dsdt));
  for (const auto& [at, size] : {AcpiBlob::Pointer{36, 4}, {40, 4}, {140, 8}})  // FACS, DSDT, DSDT
    writer.blob.pointers.push_back({fadt + at, size});
  std::vector<uint32_t> tables = {fadt, writer.add(make_madt(config)), writer.add(make_hpet(config))};
  if (config.ram.low_end != 0) tables.push_back(writer.add(make_srat(config)));
  if (config.pci.config_base != 0) tables.push_back(writer.add(make_mcfg(config)));
  const uint32_t rsdt = writer.add_root<uint32_t>("RSDT", tables);
  const uint32_t xsdt = writer.add_root<uint64_t>("XSDT", tables);

  AcpiBlob& blob = writer.blob;
  blob.rsdp = make_rsdp(rsdt, xsdt);
  blob.rsdp_pointers = {{kRsdtAt, 4}, {kXsdtAt, 8}};
  blob.rsdp_checksums = {{8, 0, 20}, {32, 0, kRsdpSize}};
  return std::move(blob);
}

Result<uint64_t> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config) {
  const uint64_t tables = kFirmwareBase + AcpiBlob::kAlignment;  // the RSDP comes first
  AcpiBlob blob = make_acpi(config);
  relocate(blob.tables, blob.pointers, tables);
  sum_up(blob.tables, blob.checksums);
  relocate(blob.rsdp, blob.rsdp_pointers, tables);
  sum_up(blob.rsdp, blob.rsdp_checksums);
  EIDOLON_TRY(place_table(memory, tables, blob.tables));
  EIDOLON_TRY(place_table(memory, kFirmwareBase, blob.rsdp));
  return kFirmwareBase;
}

}  // namespace eidolon::boot
