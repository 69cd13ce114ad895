// The DSDT: processors, the devices of the ISA bus, and how to switch off.
#include <string>

#include "boot/acpi.h"
#include "boot/aml.h"
#include "boot/memory_layout.h"

namespace eidolon::boot {

namespace {

using aml::Bytes;

Bytes isa_device(std::string_view name, std::string_view id, unsigned unique,
                 std::initializer_list<Bytes> resources) {
  return aml::device(name,
                     aml::join({aml::name("_HID", aml::eisa_id(id)), aml::name("_UID", aml::integer(unique)),
                                aml::name("_CRS", aml::resource_template(resources))}));
}

Bytes processors(unsigned count) {
  constexpr char kHex[] = "0123456789ABCDEF";
  Bytes result;
  for (unsigned i = 0; i < count; ++i) {
    const Bytes one =
        aml::processor(std::string("CP") + kHex[i >> 4] + kHex[i & 15], static_cast<uint8_t>(i));
    result.insert(result.end(), one.begin(), one.end());
  }
  return result;
}

Bytes devices() {
  using namespace aml;
  return join({
      isa_device("PIC", "PNP0000", 0, {io(0x20, 2), io(0xa0, 2), irq(2)}),
      isa_device("TIMR", "PNP0100", 0, {io(0x40, 4), irq(0)}),
      isa_device("RTC", "PNP0B00", 0, {io(0x70, 2), irq(8)}),
      isa_device("KBD", "PNP0303", 0, {io(0x60, 1), io(0x64, 1), irq(1)}),
      isa_device("COM1", "PNP0501", 1, {io(0x3f8, 8), irq(4)}),
      isa_device("HPET", "PNP0103", 0, {memory32(static_cast<uint32_t>(kHpetBase), 0x400)}),
  });
}

}  // namespace

AcpiTable make_dsdt(const AcpiConfig& config) {
  const Bytes off = aml::integer(kSleepTypeOff);
  const Bytes body = aml::join({
      aml::scope("\\_SB", aml::join({processors(config.processors), devices()})),
      aml::name("\\_S5", aml::package({off, off, aml::integer(0), aml::integer(0)})),
  });
  AcpiTable table = begin_table("DSDT", 2);  // 2: integers have 64 bits
  table.insert(table.end(), body.begin(), body.end());
  return finish_table(std::move(table));
}

}  // namespace eidolon::boot
