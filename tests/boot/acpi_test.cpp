#include "boot/acpi.h"

#include <algorithm>
#include <numeric>

#include "boot/aml.h"
#include "boot/boot_machine.h"
#include "boot/smbios.h"

namespace eidolon::boot {

namespace {

class Acpi : public BootMachine {
 protected:
  unsigned sum(uint64_t address, uint64_t length) {
    unsigned total = 0;
    for (uint64_t i = 0; i < length; ++i) total += at<uint8_t>(address + i);
    return total & 0xff;
  }
  /// The table of `signature` in the XSDT, or 0.
  uint64_t find(std::string_view signature) {
    const auto xsdt = at<uint64_t>(kFirmwareBase + 24);
    for (uint64_t i = 36; i < at<uint32_t>(xsdt + 4); i += 8)
      if (const auto table = at<uint64_t>(xsdt + i); text(table).starts_with(signature)) return table;
    return 0;
  }
};

TEST_F(Acpi, EveryTableIsReachableAndSumsToZero) {
  ASSERT_EQ(*write_acpi(*memory_, {}), kFirmwareBase);
  EXPECT_EQ(text(kFirmwareBase).substr(0, 8), "RSD PTR ");
  EXPECT_EQ(sum(kFirmwareBase, 20), 0u);
  EXPECT_EQ(sum(kFirmwareBase, 36), 0u);
  const auto xsdt = at<uint64_t>(kFirmwareBase + 24);
  const uint64_t fadt = find("FACP"), dsdt = at<uint64_t>(fadt + 140);
  for (const uint64_t table : {xsdt, fadt, find("APIC"), find("HPET"), find("MCFG"), dsdt}) {
    ASSERT_NE(table, 0u);
    EXPECT_EQ(sum(table, at<uint32_t>(table + 4)), 0u) << text(table);
  }
  EXPECT_EQ(at<uint32_t>(fadt + 36) % 64, 0u);
  EXPECT_EQ(text(at<uint32_t>(fadt + 36)).substr(0, 4), "FACS");
}

TEST_F(Acpi, FadtNamesThePortsOfTheMachine) {
  ASSERT_TRUE(write_acpi(*memory_, {}));
  const uint64_t fadt = find("FACP");
  EXPECT_EQ(at<uint32_t>(fadt + 56), 0x600u);
  EXPECT_EQ(at<uint64_t>(fadt + 148 + 4), 0x600u);
  EXPECT_EQ(at<uint64_t>(fadt + 172 + 4), 0x604u);
  EXPECT_EQ(at<uint64_t>(fadt + 208 + 4), 0x608u);
  EXPECT_EQ(at<uint64_t>(fadt + 116 + 4), 0xcf9u);
  EXPECT_EQ(at<uint8_t>(fadt + 128), 6u);
}

TEST_F(Acpi, McfgSaysWherePciConfigurationIs) {
  const AcpiTable mcfg = make_mcfg();
  ASSERT_EQ(mcfg.size(), 60u);
  EXPECT_EQ(field<uint64_t>(mcfg, 44), kPciConfigBase);
  EXPECT_EQ(mcfg[54], 0);
  EXPECT_EQ(mcfg[55], 255);
}

TEST_F(Acpi, DsdtRoutesEveryPinOfTheRootBus) {
  const AcpiTable dsdt = make_dsdt({});
  // Device 3, INTA#, no link device, pin 19 of the I/O APIC: a package of four.
  const aml::Bytes entry =
      aml::package({aml::integer(0x3ffff), aml::integer(0), aml::integer(0), aml::integer(19)});
  EXPECT_NE(std::search(dsdt.begin(), dsdt.end(), entry.begin(), entry.end()), dsdt.end());
  const aml::Bytes legacy =
      aml::package({aml::integer(0x3ffff), aml::integer(0), aml::integer(0), aml::integer(11)});
  EXPECT_NE(std::search(dsdt.begin(), dsdt.end(), legacy.begin(), legacy.end()), dsdt.end());
}

TEST_F(Acpi, TheWindowAboveRamIsAboveRam) {
  EXPECT_EQ(pci_high_base(*memory_), uint64_t{16} << 30);
  const AcpiTable without = make_dsdt({}), with = make_dsdt({.pci = {.high_base = pci_high_base(*memory_)}});
  EXPECT_EQ(with.size(), without.size() + 46) << "one quad word descriptor";
}

TEST_F(Acpi, MadtListsEveryProcessor) {
  const AcpiTable madt = make_madt({.topology = {.sockets = 2, .cores = 3}});
  std::vector<std::pair<uint8_t, uint8_t>> processors;  // UID, APIC ID
  for (uint64_t i = 44; i < madt.size(); i += madt[i + 1])
    if (madt[i] == 0) processors.emplace_back(madt[i + 2], madt[i + 3]);
  const std::vector<std::pair<uint8_t, uint8_t>> expected{{0, 0}, {1, 1}, {2, 2}, {3, 4}, {4, 5}, {5, 6}};
  EXPECT_EQ(processors, expected);
}

TEST_F(Acpi, DsdtRepeatsEachProcessorsMadtEntry) {
  const AcpiConfig config{.topology = {.sockets = 64}};
  const AcpiTable dsdt = make_dsdt(config);
  const aml::Bytes last = aml::device(
      "CP3F", aml::join({aml::name("_HID", aml::text("ACPI0007")), aml::name("_UID", aml::integer(63)),
                         aml::name("_MAT", aml::buffer({0, 8, 63, 63, 1, 0, 0, 0}))}));
  EXPECT_NE(std::search(dsdt.begin(), dsdt.end(), last.begin(), last.end()), dsdt.end());
}

TEST_F(Acpi, ProcessorsThatMayComeAreListedAsSuch) {
  const AcpiConfig config{.topology = {.cores = 4}, .present = 2, .cpu_hotplug = true};
  const AcpiTable madt = make_madt(config);
  EXPECT_EQ(field<uint32_t>(madt, 44 + 8 + 4), 1u) << "enabled";
  EXPECT_EQ(field<uint32_t>(madt, 44 + 16 + 4), 2u) << "online capable";
  ASSERT_TRUE(write_acpi(*memory_, config));
  const uint64_t fadt = find("FACP");
  EXPECT_EQ(at<uint32_t>(fadt + 80), 0x620u);
  EXPECT_EQ(at<uint8_t>(fadt + 92), 16);
  EXPECT_EQ(at<uint64_t>(fadt + 220 + 4), 0x620u);
}

TEST_F(Acpi, VirtioOnMmioIsFoundWithItsPageAndItsPin) {
  const AcpiTable dsdt = make_dsdt({.virtio = 6});
  const auto has = [&](const aml::Bytes& bytes) {
    return std::search(dsdt.begin(), dsdt.end(), bytes.begin(), bytes.end()) != dsdt.end();
  };
  // Fixed memory that is written, and an interrupt: consumed, a level, active low, shared (6.4.3.4, 6.4.3.6).
  const aml::Bytes resources = {0x86, 9,    0, 1, 0x00, 0x50, 0xf4, 0xfe, 0, 0x10, 0,
                                0,    0x89, 6, 0, 0x0d, 1,    21,   0,    0, 0};
  EXPECT_TRUE(has({'V', 'R', '0', '5'}));
  EXPECT_TRUE(has(resources));
  EXPECT_TRUE(has(aml::text("LNRO0005")));
  EXPECT_FALSE(has({'V', 'R', '0', '6'}));
}

TEST_F(Acpi, TheGenerationIdIsFoundAndItsEventHasRegisters) {
  constexpr uint64_t kBase = 0x1'2345'6000;
  const AcpiTable with = make_dsdt({.generation_base = kBase}), without = make_dsdt({});
  const auto has = [](const AcpiTable& table, const aml::Bytes& bytes) {
    return std::search(table.begin(), table.end(), bytes.begin(), bytes.end()) != table.end();
  };
  const aml::Bytes address =
      aml::name("ADDR", aml::package({aml::integer(kBase & 0xffffffff), aml::integer(1)}));
  EXPECT_TRUE(has(with, address));
  EXPECT_TRUE(has(with, aml::text("VM_Gen_Counter")));
  EXPECT_FALSE(has(without, aml::text("VM_Gen_Counter")));
  ASSERT_TRUE(write_acpi(*memory_, {.generation_base = kBase}));
  const uint64_t fadt = find("FACP");
  EXPECT_EQ(at<uint32_t>(fadt + 80), kGpe0Port);
  EXPECT_EQ(at<uint8_t>(fadt + 92), kGpe0Bytes);
}

TEST_F(Acpi, AllWaysOfHotplugFitBelowTheSmbiosTables) {
  EXPECT_TRUE(write_acpi(*memory_, {.topology = {.cores = 64},
                                    .cpu_hotplug = true,
                                    .generation_base = 1 << 20,
                                    .ram = {.low_end = 1 << 20}}));
  const AcpiTable dsdt = make_dsdt({.topology = {.cores = 64}, .cpu_hotplug = true});
  EXPECT_LT(dsdt.size(), kSmbiosAnchor - kFirmwareBase - 0x2000);
  const aml::Bytes event = aml::call("\\_SB.CPUS.CSCN", {});
  EXPECT_EQ(event.size(), 3u + 3 * 4) << "a path of three";
  EXPECT_NE(std::search(dsdt.begin(), dsdt.end(), event.begin(), event.end()), dsdt.end());
}

TEST_F(Acpi, SratPutsAllIntoOneDomain) {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  const AcpiTable srat =
      make_srat({.topology = {.sockets = 2, .cores = 3}, .ram = {.low_end = 2 * kGiB, .high = 3 * kGiB}});
  ASSERT_EQ(srat.size(), 48u + 6 * 16 + 2 * 40);
  EXPECT_EQ(srat[48 + 5 * 16 + 3], 6) << "the last one's APIC ID";
  EXPECT_EQ(srat[48 + 5 * 16 + 4], 1) << "in use";
  constexpr size_t kMemory = 48 + 6 * 16;
  EXPECT_EQ(field<uint64_t>(srat, kMemory + 8), 0u);
  EXPECT_EQ(field<uint64_t>(srat, kMemory + 16), 2 * kGiB);
  EXPECT_EQ(field<uint64_t>(srat, kMemory + 40 + 8), 4 * kGiB);
  EXPECT_EQ(field<uint64_t>(srat, kMemory + 40 + 16), 3 * kGiB);
}

TEST_F(Acpi, ManyProcessorsFit) {
  ASSERT_TRUE(write_acpi(
      *memory_, {.topology = {.sockets = 8, .cores = 4, .threads = 2}, .ram = {.low_end = 1 << 20}}));
  EXPECT_NE(find("SRAT"), 0u);
  EXPECT_EQ(at<uint32_t>(find("FACP") + 112) & 1u << 18, 1u << 18) << "eight are the most of the flat model";
}

TEST(Smbios, DescribesSockets) {
  const auto smbios =
      make_smbios({.topology = {.sockets = 2, .cores = 3, .threads = 2}, .low_bytes = 1 << 20});
  ASSERT_TRUE(smbios);
  unsigned sockets = 0;
  for (size_t i = 0; i < smbios->tables.size();) {
    const uint8_t* const entry = smbios->tables.data() + i;
    if (entry[0] == 4) {
      ++sockets;
      EXPECT_EQ(entry[35], 3) << "cores";
      EXPECT_EQ(entry[37], 6) << "threads, of all cores";
      EXPECT_EQ(entry[38], 0x1c);
    }
    i += entry[1];
    while (smbios->tables[i] != 0 || smbios->tables[i + 1] != 0) ++i;
    i += 2;
  }
  EXPECT_EQ(sockets, 2u);
}

TEST(Aml, EncodesIntegersAsShortAsTheyGo) {
  EXPECT_EQ(aml::integer(1), (aml::Bytes{1}));
  EXPECT_EQ(aml::integer(5), (aml::Bytes{0x0a, 5}));
  EXPECT_EQ(aml::integer(0x1234), (aml::Bytes{0x0b, 0x34, 0x12}));
}

TEST(Aml, CompressesEisaIds) {
  EXPECT_EQ(aml::eisa_id("PNP0501"), (aml::Bytes{0x0c, 0x41, 0xd0, 0x05, 0x01}));
}

TEST(Aml, FieldsAreCountedInBits) {
  const aml::Bytes fields =
      aml::fields("R", aml::FieldAccess::kByte, aml::FieldRest::kZeros, {{"", 32}, {"A", 1}});
  const aml::Bytes expected{0x5b, 0x81, 13, 'R', '_', '_', '_', 0x41, 0, 32, 'A', '_', '_', '_', 1};
  EXPECT_EQ(fields, expected);
}

TEST(Aml, LengthsCountThemselves) {
  EXPECT_EQ(aml::scope("A", aml::Bytes(58))[1], 63);          // one byte: 1 + 4 + 58
  const aml::Bytes longer = aml::scope("A", aml::Bytes(59));  // two: 2 + 4 + 59 = 65
  EXPECT_EQ(longer[1], 0x41);
  EXPECT_EQ(longer[2], 4);
}

}  // namespace
}  // namespace eidolon::boot
