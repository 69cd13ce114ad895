// Which devices firmware can boot from, and in which order it is to try: fw_cfg's `bootorder`, whose lines
// are paths of devices as Open Firmware has them (SeaBIOS, Runtime_config.md; OVMF, QemuBootOrderLib).
#pragma once

#include <string>
#include <vector>

#include "machine/firmware_config.h"

namespace eidolon::machine {

class BootOrder {
 public:
  /// By whoever puts a device on a bus. Of one kind, the first that is added is tried first.
  void add(BootDevice kind, std::string path) { entries_.push_back({kind, std::move(path)}); }
  /// The path of a function on the root bus, for what is behind it to be appended: "/pci@i0cf8/scsi@3".
  [[nodiscard]] static std::string pci_path(std::string_view node, unsigned device, unsigned function = 0);

  /// The file: the kinds of `order` first, then the others in the usual order.
  [[nodiscard]] std::string file(const std::vector<BootDevice>& order) const;

 private:
  struct Entry {
    BootDevice kind;
    std::string path;
  };
  std::vector<Entry> entries_;
};

}  // namespace eidolon::machine
