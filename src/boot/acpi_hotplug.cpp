// The part of the DSDT that lets processors come and go (ACPI 6.4, 6.3 and 8.4): devices that ask the
// register block of device/chipset/cpu_hotplug.h, and the method of the general-purpose event that it raises.
#include <fmt/format.h>

#include "boot/acpi.h"
#include "boot/acpi_hotplug.h"

namespace eidolon::boot {

namespace {

using namespace aml;

constexpr uint16_t kPort = 0xcd8;
constexpr uint8_t kPorts = 12;

std::string name_of(unsigned processor) { return fmt::format("CP{:02X}", processor); }

/// The registers. The flags of a processor are cleared by writing one, so the bits beside one are written as
/// zeros.
Bytes registers() {
  return device(
      "PRES",
      join({
          name("_HID", eisa_id("PNP0A06")),
          name("_UID", text("CPU hotplug")),
          name("_CRS", resource_template({io(kPort, kPorts)})),
          port_region("PRST", kPort, kPorts),
          fields("PRST", FieldAccess::kByte, FieldRest::kZeros,
                 {{"", 32}, {"CPEN", 1}, {"CINS", 1}, {"CRMV", 1}, {"CEJ0", 1}, {"", 4}, {"CCMD", 8}}),
          fields("PRST", FieldAccess::kDword, FieldRest::kPreserve, {{"CSEL", 32}, {"", 32}, {"CDAT", 32}}),
          mutex("CPLK"),
      }));
}

Bytes select(const Bytes& processor) { return store(processor, reference("\\_SB.PRES.CSEL")); }
Bytes guarded(const Bytes& contents) { return with_mutex("\\_SB.PRES.CPLK", contents); }

/// CTFY (processor, event): Notify takes a device's name, not its number.
Bytes notify_method(unsigned processors) {
  Bytes contents;
  for (unsigned i = 0; i < processors; ++i)
    contents = join({contents, when(equal(argument(0), integer(i)), notify(name_of(i), argument(1)))});
  return method("CTFY", 2, contents);
}

/// CSCN: tells the drivers of all processors that have an event.
Bytes scan_method() {
  constexpr uint8_t kDeviceCheck = 1, kEjectRequest = 3;
  const auto tell = [](const char* flag, uint8_t event) {
    return join({call("CTFY", {reference("\\_SB.PRES.CDAT"), integer(event)}),
                 store(integer(1), reference(flag)), store(integer(1), local(0))});
  };
  const Bytes inserted = reference("\\_SB.PRES.CINS"), wanted = reference("\\_SB.PRES.CRMV");
  return method(
      "CSCN", 0,
      guarded(join({
          select(integer(0)),
          store(integer(1), local(0)),
          loop(equal(local(0), integer(1)),
               join({
                   store(integer(0), local(0)),
                   store(integer(0), reference("\\_SB.PRES.CCMD")),
                   when(equal(inserted, integer(1)), tell("\\_SB.PRES.CINS", kDeviceCheck)),
                   otherwise(when(equal(wanted, integer(1)), tell("\\_SB.PRES.CRMV", kEjectRequest))),
               })),
      })));
}

/// CSTA (processor): its _STA.
Bytes status_method() {
  constexpr uint8_t kPresentAndWorking = 0xf;
  return method("CSTA", 1,
                join({
                    store(integer(0), local(0)),
                    guarded(join({select(argument(0)), when(equal(reference("\\_SB.PRES.CPEN"), integer(1)),
                                                            store(integer(kPresentAndWorking), local(0)))})),
                    give_back(local(0)),
                }));
}

/// CEJC (processor): gives it back.
Bytes eject_method() {
  return method("CEJC", 1,
                guarded(join({select(argument(0)), store(integer(1), reference("\\_SB.PRES.CEJ0"))})));
}

/// COST (processor, event, status): what the driver says of an event.
Bytes answer_method() {
  const auto write = [](uint8_t command, unsigned value) {
    return join({store(integer(command), reference("\\_SB.PRES.CCMD")),
                 store(argument(value), reference("\\_SB.PRES.CDAT"))});
  };
  return method("COST", 3, guarded(join({select(argument(0)), write(1, 1), write(2, 2)})));
}

Bytes processor(const AcpiConfig& config, unsigned i) {
  return device(name_of(i), join({
                                name("_HID", text("ACPI0007")),
                                name("_UID", integer(i)),
                                name("_MAT", buffer(madt_entry(config, i))),
                                method("_STA", 0, give_back(call("CSTA", {integer(i)}))),
                                method("_OST", 3, call("COST", {integer(i), argument(0), argument(1)})),
                                // The first one stays: without the method no system tries.
                                i == 0 ? Bytes{} : method("_EJ0", 1, call("CEJC", {integer(i)})),
                            }));
}

}  // namespace

Bytes hotplug_devices(const AcpiConfig& config) {
  const unsigned count = config.topology.processors();
  Bytes contents = join({
      name("_HID", text("ACPI0010")),
      name("_CID", eisa_id("PNP0A05")),
      notify_method(count),
      scan_method(),
      status_method(),
      eject_method(),
      answer_method(),
  });
  for (unsigned i = 0; i < count; ++i) contents = join({contents, processor(config, i)});
  return join({registers(), device("CPUS", contents)});
}

Bytes hotplug_event() { return scope("\\_GPE", method("_E02", 0, call("\\_SB.CPUS.CSCN", {}))); }

}  // namespace eidolon::boot
