// What a machine that starts from its reset vector has besides its board: the ROM with its image below 1 MiB,
// the flash chip with UEFI's variables, and the port of the firmware's log.
#pragma once

#include <optional>

#include "base/result.h"
#include "device/chipset/a20_gate.h"
#include "device/chipset/debug_console.h"
#include "device/pci/host_bridge.h"
#include "device/pci/pam.h"
#include "device/storage/cfi_flash.h"
#include "machine/firmware_config.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class Firmware {
 public:
  /// Reads the image and puts it where the processor starts. RAM is there (boot::add_ram_for_firmware).
  Result<> load(const FirmwareConfig& config, memory::GuestMemory& memory, device::pci::HostBridge& bridge,
                device::A20Gate& a20, memory::IoBus& ports, memory::IoBus& mmio);

  /// Null: there is none.
  [[nodiscard]] device::CfiFlash* flash() { return flash_.get(); }
  /// What the flash stands on, and the name of its file; null: nothing.
  [[nodiscard]] device::storage::Medium* variables() { return variables_.get(); }
  [[nodiscard]] const std::string& variables_path() const { return variables_path_; }

 private:
  Result<> add_flash(const FirmwareConfig& config, uint64_t rom_base, const memory::GuestMemory& memory,
                     memory::IoBus& mmio);

  std::optional<device::pci::Pam> pam_;
  std::shared_ptr<device::storage::Medium> variables_;
  std::string variables_path_;
  std::unique_ptr<device::CfiFlash> flash_;
  std::optional<device::DebugConsole> log_;
};

}  // namespace eidolon::machine
