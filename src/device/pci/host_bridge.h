// The host bridge of the Q35 chipset, 00:00.0 (Intel 3 Series Express chipset family datasheet, 316966,
// chapter 5): it says where the configuration window is. PAM and SMRAM registers keep what is written;
// nothing follows from them yet, because there is no firmware.
#pragma once

#include "device/pci/config_access.h"
#include "device/pci/function.h"

namespace eidolon::device::pci {

class HostBridge final : public Function {
 public:
  explicit HostBridge(Root& root);
  /// What firmware does early: the window of 256 buses at `base`, a multiple of 256 MiB.
  void enable_window(uint64_t base);

 protected:
  void reset_device() override { place_window(); }
  void save_device(StateWriter& /*to*/) const override {}
  void load_device(StateReader& /*from*/) override {}
  void config_written(unsigned offset, unsigned size) override;
  void loaded() override { place_window(); }

 private:
  void place_window();
  Root& root_;
  ConfigWindow window_;
};

}  // namespace eidolon::device::pci
