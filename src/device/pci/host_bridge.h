// The host bridge of the Q35 chipset, 00:00.0 (Intel 3 Series Express chipset family datasheet, 316966,
// chapter 5): it says where the configuration window is, and what is shown between 768 KiB and 1 MiB
// (pam.h). The SMRAM registers keep what is written; there is no system management mode.
#pragma once

#include "device/pci/config_access.h"
#include "device/pci/function.h"
#include "device/pci/pam.h"

namespace eidolon::device::pci {

class HostBridge final : public Function {
 public:
  explicit HostBridge(Root& root);
  /// What firmware does early: the window of 256 buses at `base`, a multiple of 256 MiB.
  void enable_window(uint64_t base);
  /// Where the window is, or 0 if there is none.
  [[nodiscard]] uint64_t window_base() const;
  /// For a machine with firmware: the PAM registers are its.
  void connect(Pam& pam) { pam_ = &pam; }
  using Function::connect;

 protected:
  void reset_device() override { loaded(); }
  void save_device(StateWriter& /*to*/) const override {}
  void load_device(StateReader& /*from*/) override {}
  void config_written(unsigned offset, unsigned size) override;
  void loaded() override {
    place_window();
    apply_pam();
  }

 private:
  void place_window();
  void apply_pam();
  Root& root_;
  ConfigWindow window_;
  Pam* pam_ = nullptr;
};

}  // namespace eidolon::device::pci
