#include "machine/guest_facts.h"

#include <algorithm>

#include "base/bits.h"
#include "base/try.h"
#include "boot/acpi_loader.h"
#include "boot/memory_layout.h"
#include "device/chipset/generation_id.h"
#include "device/chipset/hpet.h"

namespace eidolon::machine {

namespace {

using device::FwCfg;

constexpr uint64_t kGiB = uint64_t{1} << 30;

/// Where firmware put 64-bit BARs above 4 GiB, in whole GiB.
std::pair<uint64_t, uint64_t> high_bars(const device::pci::Root& root) {
  uint64_t begin = ~uint64_t{0}, end = 0;
  for (const auto& place : root.places()) {
    for (const auto& bar : place.occupant->bars()) {
      if (!bar->is_64bit()) continue;
      const uint64_t low = place.occupant->config_read(bar->offset(), 4);
      const uint64_t base =
          (low & ~uint64_t{15}) | uint64_t{place.occupant->config_read(bar->offset() + 4, 4)} << 32;
      if (base < boot::kMmioHoleEnd || base > ~uint64_t{0} - bar->size() - kGiB) continue;
      begin = std::min(begin, align_down(base, kGiB));
      end = std::max(end, align_up(base + bar->size(), kGiB));
    }
  }
  return {begin, end};
}

Result<> add(FwCfg& fw_cfg, const std::string& name, FwCfg::Bytes bytes) {
  if (fw_cfg.add_file(name, std::move(bytes))) return {};
  return fail("there cannot be two files, or more than {}, for fw_cfg: '{}'; leave out that --fw-cfg",
              FwCfg::kMostFiles, name);
}

FwCfg::Bytes e820(const memory::GuestMemory& memory) {
  const boot::RamSizes sizes = boot::ram_sizes(memory);
  FwCfg::Bytes bytes;
  const auto range = [&bytes](uint64_t base, uint64_t length) {
    boot::append(bytes, base);
    boot::append(bytes, length);
    boot::append(bytes, boot::MapEntry::kUsable);
  };
  range(0, sizes.low_end);
  if (sizes.high != 0) range(boot::kMmioHoleEnd, sizes.high);
  return bytes;
}

/// The three files are made when firmware selects them: it has given the bus its addresses by then.
Result<> add_acpi(FwCfg& fw_cfg, const memory::GuestMemory& memory, const PciParts& pci,
                  const x86::Topology& topology, unsigned present) {
  const auto make = [&memory, pci, topology, present] {
    return boot::make_acpi(acpi_config(memory, pci, topology, present));
  };
  // Until configuration space has a place, MCFG is not there: with it, the script is longer. What is left of
  // a file is zeros, which firmware skips.
  boot::AcpiConfig complete = acpi_config(memory, pci, topology, present);
  complete.pci.config_base = boot::kPciConfigBase;
  const boot::AcpiBlob largest = boot::make_acpi(complete);
  constexpr uint64_t kRoom = 4096;  // for windows that are not there yet
  const size_t tables = align_up(largest.tables.size() + kRoom, x86::kPageSize);
  const bool added =
      fw_cfg.add_file(boot::kAcpiTablesFile, tables, [make] { return make().tables; }) &&
      fw_cfg.add_file(boot::kAcpiRsdpFile, largest.rsdp.size(), [make] { return make().rsdp; }) &&
      fw_cfg.add_file(boot::kAcpiLoaderFile, boot::make_loader_script(largest).size(),
                      [make] { return boot::make_loader_script(make()); });
  return added ? Result<>() : fail("--fw-cfg cannot replace the machine's ACPI tables; leave out etc/acpi");
}

}  // namespace

boot::AcpiConfig acpi_config(const memory::GuestMemory& memory, const PciParts& pci,
                             const x86::Topology& topology, unsigned present) {
  boot::AcpiConfig config{.hpet_block_id = device::Hpet::kBlockId, .pm_timer_32bit = true, .pci = {}};
  config.topology = topology;
  config.present = present;
  config.cpu_hotplug = present != 0 && present < topology.processors();
  config.generation_base = device::GenerationId::kBase;
  config.ram = boot::ram_sizes(memory);
  config.vga = pci.vga;
  config.virtio = pci.virtio;
  if (const uint16_t pm = pci.lpc.pm_base(); pm != 0) config.pm_base = pm;
  config.pci.config_base = pci.bridge.window_base();
  if (config.pci.config_base >= boot::kIoApicBase) config.pci.config_base = 0;
  config.pci.low_base = std::max(align_up(config.ram.low_end, 1 << 20), uint64_t{0x80000000});
  config.pci.high_base = boot::pci_high_base(memory);
  const auto [begin, end] = high_bars(pci.root);
  if (begin < end) {
    config.pci.high_base = begin;
    config.pci.high_bytes = end - begin;
  }
  return config;
}

boot::SmbiosConfig smbios_config(const memory::GuestMemory& memory, const FirmwareConfig& config,
                                 const x86::Topology& topology) {
  const boot::RamSizes sizes = boot::ram_sizes(memory);
  return {.topology = topology,
          .low_bytes = sizes.low_end,
          .high_bytes = sizes.high,
          .oem_strings = config.smbios_strings,
          .firmware_entry = config.rom_path.empty()};
}

Result<> add_common_items(FwCfg& fw_cfg, const MachineConfig& config, const memory::GuestMemory& memory) {
  const boot::RamSizes sizes = boot::ram_sizes(memory);
  fw_cfg.set_number<uint64_t>(FwCfg::kRamSize, sizes.low_end + sizes.high);
  const unsigned present = config.present != 0 ? config.present : config.topology.processors();
  fw_cfg.set_number<uint16_t>(FwCfg::kProcessors, static_cast<uint16_t>(present));
  // Not a number of processors: SeaBIOS keeps as many bits, one for each APIC ID.
  fw_cfg.set_number<uint16_t>(FwCfg::kMostProcessors,
                              static_cast<uint16_t>(config.topology.highest_apic_id() + 1));
  // With it, SeaBIOS serves the BIOS's text and keys on the serial port too.
  fw_cfg.set_number<uint16_t>(FwCfg::kNoGraphics, config.firmware.text_on_serial || !config.vga);
  for (const FwCfgItem& item : config.firmware.items) EIDOLON_TRY(add(fw_cfg, item.name, item.bytes));
  return {};
}

Result<> add_firmware_items(FwCfg& fw_cfg, const MachineConfig& config, const memory::GuestMemory& memory,
                            const PciParts& pci, const BootOrder& order) {
  fw_cfg.set_number<uint32_t>(FwCfg::kIrq0Override, 1);
  fw_cfg.set_number<uint16_t>(FwCfg::kBootMenu, 0);
  EIDOLON_TRY(add(fw_cfg, "etc/e820", e820(memory)));
  // S3 and S4 are not offered; S4's type would be 2.
  EIDOLON_TRY(add(fw_cfg, "etc/system-states", {128, 0, 0, 1, 2, 128}));
  if (const std::string text = order.file(config.firmware.boot_order); !text.empty())
    EIDOLON_TRY(add(fw_cfg, "bootorder", FwCfg::Bytes(text.begin(), text.end())));
  const boot::Smbios smbios =
      EIDOLON_TRY(boot::make_smbios(smbios_config(memory, config.firmware, config.topology)));
  EIDOLON_TRY(add(fw_cfg, boot::kSmbiosTablesFile, smbios.tables));
  EIDOLON_TRY(add(fw_cfg, boot::kSmbiosAnchorFile, smbios.anchor));
  return add_acpi(fw_cfg, memory, pci, config.topology, config.present);
}

}  // namespace eidolon::machine
