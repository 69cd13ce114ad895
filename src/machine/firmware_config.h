// What a user may say about firmware, and about what it and the guest are told on the side.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::machine {

enum class BootDevice : uint8_t { kDisk, kCdrom, kFloppy, kNetwork };

/// "disk,cdrom" or letters as other monitors have them: a floppy, c disk, d CD-ROM, n network.
[[nodiscard]] Result<std::vector<BootDevice>> parse_boot_order(const std::string& text);

/// A file that the guest can read by fw_cfg.
struct FwCfgItem {
  std::string name;
  std::vector<uint8_t> bytes;
};
/// "name=NAME,file=PATH" or "name=NAME,string=TEXT".
[[nodiscard]] Result<FwCfgItem> parse_fw_cfg_item(const std::string& text);

struct FirmwareConfig {
  std::string rom_path;  ///< empty: there is none, a kernel is booted directly
  /// Of firmware that keeps variables in flash: what they are before the first start. Empty: it keeps none.
  std::string variables_template;
  std::string variables_path;  ///< empty: they are forgotten at the end
  /// Both of them opened (open_variables), to outlive a guest's reset.
  std::shared_ptr<device::storage::Medium> variables;
  /// Gets the firmware's log; null: there is no log port.
  std::function<void(uint8_t)> log;

  /// The BIOS's text goes to the serial port too, and keys come from there.
  bool text_on_serial = true;
  std::vector<FwCfgItem> items;
  std::vector<std::string> smbios_strings;
  std::vector<BootDevice> boot_order;  ///< empty: the usual one
};

/// "bios", "uefi", or a file with a ROM image.
[[nodiscard]] FirmwareConfig find_firmware(const std::string& text);
/// The variable store: the file, which is made from the template if it is not there, or a copy to be
/// forgotten.
[[nodiscard]] Result<> open_variables(FirmwareConfig& config);

}  // namespace eidolon::machine
