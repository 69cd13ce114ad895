// The DSDT: processors, the PCI root bus with its windows and interrupts, the devices of the ISA bus, and how
// to switch off.
#include <algorithm>
#include <vector>

#include "boot/acpi.h"
#include "boot/acpi_hotplug.h"
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

Bytes processors(const AcpiConfig& config) {
  using namespace aml;
  if (config.cpu_hotplug) return hotplug_devices(config);
  Bytes result;
  for (unsigned i = 0; i < config.topology.processors(); ++i)
    result = join({result, device(fmt::format("CP{:02X}", i),
                                  join({name("_HID", text("ACPI0007")), name("_UID", integer(i)),
                                        name("_MAT", buffer(madt_entry(config, i)))}))});
  return result;
}

Bytes isa_devices() {
  using namespace aml;
  return join({
      isa_device("PIC", "PNP0000", 0, {io(0x20, 2), io(0xa0, 2), irq(2)}),
      isa_device("TIMR", "PNP0100", 0, {io(0x40, 4), irq(0)}),
      isa_device("RTC", "PNP0B00", 0, {io(0x70, 2), irq(8)}),
      isa_device("KBD", "PNP0303", 0, {io(0x60, 1), io(0x64, 1), irq(1)}),
      isa_device("MOU", "PNP0F13", 0, {irq(12)}),
      isa_device("COM1", "PNP0501", 1, {io(0x3f8, 8), irq(4)}),
  });
}

/// The routing table of the root bus (6.2.13): for each device number and pin the interrupt that it leads to,
/// a pin of the I/O APIC, or where the 8259 pair is in use, what PIRQ A to D were routed to.
Bytes routing(const PciConfig& pci, bool io_apic) {
  std::vector<Bytes> entries;
  for (unsigned device = 0; device < 32; ++device) {
    for (unsigned pin = 0; pin < 4; ++pin) {
      const unsigned line = device < 25 ? (device + pin) % 4 : pin;
      entries.push_back(aml::package({aml::integer(device << 16 | 0xffff), aml::integer(pin), aml::integer(0),
                                      aml::integer(io_apic ? pci.first_pin + line : pci.irqs[line])}));
    }
  }
  return aml::package(entries);
}

/// What is below and above configuration space.
Bytes low_windows(const PciConfig& pci) {
  const auto window = [](uint64_t begin, uint64_t end) {
    if (begin >= end) return Bytes{};
    return aml::memory_window32(static_cast<uint32_t>(begin), static_cast<uint32_t>(end - 1));
  };
  if (pci.config_base == 0) return window(pci.low_base, kIoApicBase);
  const uint64_t config_end = pci.config_base + (kPciConfigEnd - kPciConfigBase);
  return aml::join(
      {window(pci.low_base, pci.config_base), window(std::max(pci.low_base, config_end), kIoApicBase)});
}

Bytes root_bus(const PciConfig& pci) {
  using namespace aml;
  Bytes windows = join({
      bus_window(0, 255),
      io(0xcf8, 8),
      io_window(0, 0xcf7),
      io_window(0xd00, 0xffff),
      low_windows(pci),
  });
  if (pci.high_base != 0)
    windows = join({windows, memory_window64(pci.high_base, pci.high_base + pci.high_bytes - 1)});
  return device("PCI0", join({
                            name("_HID", eisa_id("PNP0A08")),  // PCI Express
                            name("_CID", eisa_id("PNP0A03")),
                            name("_UID", integer(0)),
                            name("_CRS", resource_template({windows})),
                            name("PRTA", routing(pci, true)),
                            name("PRTP", routing(pci, false)),
                            method("_PRT", 0,
                                   join({when(reference("\\PICM"), give_back(reference("PRTA"))),
                                         give_back(reference("PRTP"))})),
                            device("ISA", join({name("_ADR", integer(0x1f0000)), isa_devices()})),
                        }));
}

/// What is not a device's but not free either: the window to configuration space, the ports of power
/// management and reset.
Bytes board(const AcpiConfig& config) {
  using namespace aml;
  Bytes resources = join({io(config.pm_base, 0x80), io(0x92, 1)});
  if (config.pci.config_base != 0)
    resources = join({resources, memory32(static_cast<uint32_t>(config.pci.config_base),
                                          static_cast<uint32_t>(kPciConfigEnd - kPciConfigBase))});
  if (config.generation_base != 0)
    resources = join({resources, memory32(static_cast<uint32_t>(config.generation_base), x86::kPageSize)});
  return isa_device("MBRD", "PNP0C02", 0, {resources});
}

/// QEMU's fw_cfg, by the name that its drivers know.
Bytes firmware_configuration() {
  using namespace aml;
  return device("FWCF", join({name("_HID", text("QEMU0002")), name("_STA", integer(0xb)),
                              name("_CRS", resource_template({io(0x510, 0xc)}))}));
}

/// Which life of the machine this is. The second name is what Linux knows it by.
Bytes generation(uint64_t base) {
  using namespace aml;
  return device("VGEN", join({name("_HID", text("EIDO0001")),
                              name("_CID", package({text("VM_Gen_Counter"), text("VMGENCTR")})),
                              name("_DDN", text("VM_Gen_Counter")),
                              name("ADDR", package({integer(base & 0xffffffff), integer(base >> 32)}))}));
}
Bytes generation_event() {
  constexpr uint8_t kChanged = 0x80;
  return aml::scope("\\_GPE", aml::method("_E05", 0, aml::notify("\\_SB.VGEN", aml::integer(kChanged))));
}

/// Virtio over MMIO, by the name that Linux's and SeaBIOS's drivers know.
Bytes virtio_devices(unsigned count) {
  using namespace aml;
  Bytes result;
  for (unsigned i = 0; i < count; ++i) {
    const auto base = static_cast<uint32_t>(virtio_base(i));
    result =
        join({result, device(fmt::format("VR{:02X}", i),
                             join({name("_HID", text("LNRO0005")), name("_UID", integer(i)),
                                   name("_CRS", resource_template({memory32(base, kVirtioBytes, true),
                                                                   shared_interrupt(virtio_pin(i))}))}))});
  }
  return result;
}

Bytes devices(const AcpiConfig& config) {
  using namespace aml;
  return join({
      config.generation_base != 0 ? generation(config.generation_base) : Bytes{},
      root_bus(config.pci),
      board(config),
      firmware_configuration(),
      virtio_devices(config.virtio),
      isa_device("HPET", "PNP0103", 0, {memory32(static_cast<uint32_t>(kHpetBase), 0x400)}),
  });
}

}  // namespace

AcpiTable make_dsdt(const AcpiConfig& config) {
  const Bytes off = aml::integer(kSleepTypeOff);
  const Bytes body = aml::join({
      // The operating system says which interrupt controllers it uses (5.8.1).
      aml::name("\\PICM", aml::integer(0)),
      aml::method("\\_PIC", 1, aml::store(aml::argument(0), aml::reference("\\PICM"))),
      aml::scope("\\_SB", aml::join({processors(config), devices(config)})),
      config.cpu_hotplug ? hotplug_event() : Bytes{},
      config.generation_base != 0 ? generation_event() : Bytes{},
      aml::name("\\_S5", aml::package({off, off, aml::integer(0), aml::integer(0)})),
  });
  AcpiTable table = begin_table("DSDT", 2);  // 2: integers have 64 bits
  table.insert(table.end(), body.begin(), body.end());
  return finish_table(std::move(table));
}

}  // namespace eidolon::boot
