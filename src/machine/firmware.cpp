#include "machine/firmware.h"

#include <algorithm>

#include "base/try.h"
#include "boot/memory_layout.h"
#include "boot/read_file.h"
#include "memory/attach_device.h"
#include "memory/remap.h"

namespace eidolon::machine {

namespace {

constexpr uint64_t kRomUnit = 0x10000, kMostRom = 0x1000000;  ///< below it is the local APICs' range

Result<std::vector<uint8_t>> read_rom(const std::string& path) {
  std::vector<uint8_t> rom = EIDOLON_TRY(boot::read_file(path, "firmware", kMostRom));
  if (rom.size() % x86::kPageSize != 0 || rom.size() < kRomUnit)
    return fail(
        "firmware '{}' has {} bytes, and a ROM image has at least {} KiB in whole pages; name another file",
        path, rom.size(), kRomUnit >> 10);
  return rom;
}

/// Closed, the gate folds the 64 KiB above 1 MiB, which is what real-mode code reaches, onto those at 0.
void connect(device::A20Gate& a20, memory::GuestMemory& memory) {
  uint8_t* const low = memory.host(0, 1);
  uint8_t* const high = memory.host(boot::kHighRamBase, 1);
  a20.set_observer([&memory, low, high](bool open) {
    memory::remap(memory, boot::kHighRamBase, open ? high : low, memory::RegionKind::kRam);
    memory.map_changed();
  });
}

}  // namespace

Result<> Firmware::load(const FirmwareConfig& config, memory::GuestMemory& memory,
                        device::pci::HostBridge& bridge, device::A20Gate& a20, memory::IoBus& ports,
                        memory::IoBus& mmio) {
  const std::vector<uint8_t> rom = EIDOLON_TRY(read_rom(config.rom_path));
  const uint64_t base = boot::kMmioHoleEnd - rom.size();
  EIDOLON_TRY(memory.add_region(base, rom.size(), memory::RegionKind::kRom));
  if (!memory.load(base, rom.data(), rom.size()))
    return fail("there is no room for firmware '{}' below 4 GiB; name another file", config.rom_path);
  pam_.emplace(memory);
  EIDOLON_TRY(pam_->attach(memory.host(base, rom.size()) + rom.size(), rom.size()));
  bridge.connect(*pam_);
  connect(a20, memory);
  if (config.log) {
    log_.emplace(config.log);
    EIDOLON_TRY(ports.attach(device::DebugConsole::kPort, 1, *log_, "firmware log"));
  }
  return add_flash(config, base, memory, mmio);
}

/// Directly below the ROM, as if both were one chip: that is how the images of OVMF are cut.
Result<> Firmware::add_flash(const FirmwareConfig& config, uint64_t rom_base,
                             const memory::GuestMemory& memory, memory::IoBus& mmio) {
  if (!config.variables) return {};
  variables_ = config.variables;
  variables_path_ = config.variables_path.empty() ? config.variables_template : config.variables_path;
  flash_ = EIDOLON_TRY(device::CfiFlash::create(*variables_));
  return memory::attach_device(mmio, memory, rom_base - flash_->size(), flash_->size(), *flash_, "flash");
}

}  // namespace eidolon::machine
