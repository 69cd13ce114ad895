// The disk controllers that a PC has of old, IDE, AHCI and floppy, with the drives of the configuration on
// them. A controller is there if something is on it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/chipset/dma_controller.h"
#include "device/chipset/rtc.h"
#include "device/pci/root.h"
#include "device/storage/ahci.h"
#include "device/storage/floppy.h"
#include "device/storage/ide.h"
#include "device/storage/medium.h"
#include "interrupt/irq_router.h"
#include "machine/machine_config.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class PcDisks {
 public:
  // `medium` outlives remove_all(). `serial` is what the guest sees as the drive's number.
  Result<> add_ahci(const DiskConfig& disk, device::storage::Medium& medium, std::string serial);
  Result<> add_ide(const DiskConfig& disk, device::storage::Medium& medium, std::string serial,
                   interrupt::IrqRouter& irqs);
  Result<> add_floppy(const DiskConfig& disk, device::storage::Medium& medium, interrupt::IrqRouter& irqs,
                      device::DmaController& dma);
  /// Puts the controllers on their buses, when all drives are on them.
  Result<> connect(device::pci::Root& root, memory::IoBus& ports, device::Rtc& rtc);
  void remove_all();
  [[nodiscard]] device::storage::Floppy* floppy() { return floppy_.get(); }

 private:
  Result<> connect_floppy(memory::IoBus& ports, device::Rtc& rtc);

  std::unique_ptr<device::storage::Ahci> ahci_;
  std::unique_ptr<device::storage::Ide> ide_;
  std::unique_ptr<device::storage::Floppy> floppy_;
  unsigned ahci_ports_ = 0;            ///< in use
  unsigned ide_drives_ = 0;            ///< in use
  std::vector<uint8_t> floppy_types_;  ///< of the drives in use
};

}  // namespace eidolon::machine
