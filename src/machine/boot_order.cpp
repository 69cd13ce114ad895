#include "machine/boot_order.h"

#include <algorithm>

namespace eidolon::machine {

std::string BootOrder::pci_path(std::string_view node, unsigned device, unsigned function) {
  if (function == 0) return fmt::format("/pci@i0cf8/{}@{:x}", node, device);
  return fmt::format("/pci@i0cf8/{}@{:x},{:x}", node, device, function);
}

std::string BootOrder::file(const std::vector<BootDevice>& order) const {
  std::vector<BootDevice> kinds = order;
  for (const BootDevice kind :
       {BootDevice::kDisk, BootDevice::kCdrom, BootDevice::kFloppy, BootDevice::kNetwork})
    if (std::ranges::find(kinds, kind) == kinds.end()) kinds.push_back(kind);
  std::string text;
  for (const BootDevice kind : kinds)
    for (const Entry& entry : entries_)
      if (entry.kind == kind) text += entry.path + "\n";
  if (!text.empty()) text.back() = '\0';  // the last line ends the file
  return text;
}

}  // namespace eidolon::machine
