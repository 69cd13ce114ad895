// The tables that list processors and what belongs to them: MADT (ACPI 6.4, 5.2.12) with the interrupt
// controllers, SRAT (5.2.16) with the one proximity domain that all are in. A processor's UID, here and in
// the DSDT, is its number.
#include "boot/acpi.h"
#include "boot/memory_layout.h"

namespace eidolon::boot {

namespace {

struct [[gnu::packed]] LocalApic {
  static constexpr uint32_t kEnabled = 1, kOnlineCapable = 2;
  uint8_t type = 0, length = 8, processor, id;
  uint32_t flags = kEnabled;
};
struct [[gnu::packed]] IoApic {
  uint8_t type = 1, length = 12, id, reserved = 0;
  uint32_t address, first_interrupt = 0;
};
struct [[gnu::packed]] Override {
  uint8_t type = 2, length = 10, bus = 0, irq;
  uint32_t interrupt;
  uint16_t flags;
};
struct [[gnu::packed]] LocalNmi {
  uint8_t type = 4, length = 6, processor = 0xff;  ///< all of them
  uint16_t flags = 0;
  uint8_t lint = 1;
};

constexpr uint32_t kAffinityEnabled = 1;

struct [[gnu::packed]] ProcessorAffinity {
  uint8_t type = 0, length = 16, domain = 0, id;
  uint32_t flags = kAffinityEnabled;
  std::array<uint8_t, 8> high_domain_and_clock{};
};
struct [[gnu::packed]] MemoryAffinity {
  uint8_t type = 1, length = 40;
  uint32_t domain = 0;
  uint16_t reserved = 0;
  uint64_t base, bytes;
  uint32_t reserved_too = 0, flags = kAffinityEnabled;
  uint64_t reserved_at_last = 0;
};
static_assert(sizeof(ProcessorAffinity) == 16 && sizeof(MemoryAffinity) == 40);

/// No topology has an APIC ID of 128 or more, so none needs the entry of an x2APIC.
LocalApic local_apic(const x86::Topology& topology, unsigned processor) {
  return {.processor = static_cast<uint8_t>(processor),
          .id = static_cast<uint8_t>(topology.apic_id(processor))};
}

}  // namespace

std::vector<uint8_t> madt_entry(const AcpiConfig& config, unsigned processor) {
  std::vector<uint8_t> entry;
  append(entry, local_apic(config.topology, processor));
  return entry;
}

AcpiTable make_madt(const AcpiConfig& config) {
  constexpr uint32_t kHas8259 = 1;
  constexpr uint16_t kAsTheBus = 0, kActiveHighLevel = 0xd;

  AcpiTable t = begin_table("APIC", 3);
  append(t, static_cast<uint32_t>(kLocalApicBase));
  append(t, kHas8259);
  for (unsigned i = 0; i < config.topology.processors(); ++i) {
    LocalApic entry = local_apic(config.topology, i);
    if (config.present != 0 && i >= config.present) entry.flags = LocalApic::kOnlineCapable;
    append(t, entry);
  }
  append(t, IoApic{.id = config.io_apic_id, .address = static_cast<uint32_t>(kIoApicBase)});
  append(t, Override{.irq = 0, .interrupt = 2, .flags = kAsTheBus});
  append(t, Override{.irq = kSciIrq, .interrupt = kSciIrq, .flags = kActiveHighLevel});
  append(t, LocalNmi{});
  return finish_table(std::move(t));
}

AcpiTable make_srat(const AcpiConfig& config) {
  AcpiTable t = begin_table("SRAT", 3);
  append<uint32_t>(t, 1);  // reserved, and 1 for the sake of old systems
  append<uint64_t>(t, 0);
  for (unsigned i = 0; i < config.topology.processors(); ++i)
    append(t, ProcessorAffinity{.id = static_cast<uint8_t>(config.topology.apic_id(i))});
  append(t, MemoryAffinity{.base = 0, .bytes = config.ram.low_end});
  if (config.ram.high != 0) append(t, MemoryAffinity{.base = kMmioHoleEnd, .bytes = config.ram.high});
  return finish_table(std::move(t));
}

}  // namespace eidolon::boot
