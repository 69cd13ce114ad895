// A USB host controller (eXtensible Host Controller Interface 1.1) as a PCI function: its registers, its
// life, and the thread that follows its rings. Ports, slots, transfers and events are in the other xhci_
// files.
//
//   halted --USBCMD.RS--> running --RS = 0--> halted         any --HCRST, error--> reset, or USBSTS.HCE
//
// A doorbell only notes that there is something in a ring. One thread carries out commands and transfers, one
// at a time, and lets go of the lock while a device works on a transfer. What resets a device or the whole
// waits for that, so a device is never called by two threads at a time.
#pragma once

#include <array>

#include "base/clock.h"
#include "device/holdable.h"
#include "device/pci/function.h"
#include "device/usb/xhci_interrupter.h"
#include "device/usb/xhci_ports.h"
#include "device/usb/xhci_slots.h"
#include "device/usb/xhci_transfer.h"
#include "device/worker_pool.h"

namespace eidolon::device::usb {

class XhciController final : public pci::Function, public Holdable, private memory::IoHandler {
 public:
  /// `clock` is what the frame index counts by.
  XhciController(std::string name, const Clock& clock);
  ~XhciController() override { pool_.stop(); }

  /// Before the machine runs; `device` outlives the controller's threads. False if no port is free.
  [[nodiscard]] bool plug(usb::Device& device);
  /// Ends the thread. No device is called afterwards.
  void stop() { pool_.stop(); }

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return pool_.hold(patience); }
  void release() override { pool_.release(); }

 protected:
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  void loaded() override;
  void config_written(unsigned offset, unsigned size) override;

 private:
  using Lock = WorkerPool::Lock;

  // memory::IoHandler: BAR 0
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  void add_own_registers();

  // Registers, with the lock held.
  [[nodiscard]] uint32_t read_register(uint64_t offset) const;
  [[nodiscard]] uint32_t read_operational(uint64_t offset) const;
  [[nodiscard]] uint32_t frame_index() const;
  void write_register(Lock& held, uint64_t offset, uint32_t value);
  void write_operational(Lock& held, uint64_t offset, uint32_t value);
  void write_command(Lock& held, uint32_t value);
  void write_command_ring(uint64_t offset, uint32_t value);
  void write_runtime(uint64_t offset, uint32_t value);
  void ring_doorbell(unsigned slot, uint32_t value);
  void device_ready(unsigned port, unsigned endpoint);

  // Life, with the lock held.
  [[nodiscard]] bool running() const;
  void reset_host();
  void fail();
  void interrupt(unsigned interrupter);
  void update_wire();

  // On the thread, with the lock held. False: nothing to do.
  [[nodiscard]] bool work(Lock& held);
  [[nodiscard]] bool tell_port();
  [[nodiscard]] bool tell_command_stop();
  [[nodiscard]] bool run_command();
  [[nodiscard]] bool run_transfer(Lock& held);
  [[nodiscard]] bool run_endpoint(Lock& held, unsigned slot, unsigned index);
  struct Done {
    xhci::Code code;  ///< kSuccess; kInvalid: not yet
    uint32_t length = 0;
  };
  [[nodiscard]] Done carry_out(Lock& held, xhci::Transfer& transfer, usb::Device& device, unsigned index);
  [[nodiscard]] xhci::Code execute(const xhci::Trb& command, unsigned& slot);
  void tell_stopped(unsigned slot, unsigned index);
  void post(unsigned interrupter, const xhci::Trb& event, bool quiet = false);
  [[nodiscard]] bool has_room(unsigned interrupter, size_t events);

  const Clock& clock_;
  mutable std::mutex mutex_;
  uint32_t command_ = 0;                 ///< USBCMD
  uint32_t status_ = xhci::kHostHalted;  ///< USBSTS
  uint32_t notifications_ = 0;           ///< DNCTRL
  uint32_t configure_ = 0;               ///< CONFIG
  uint64_t contexts_ = 0;                ///< DCBAAP
  xhci::RingPlace command_ring_;
  bool commands_run_ = false;  ///< CRR
  bool commands_rung_ = false;
  bool ignore_upper_half_ = false;  ///< of a write to CRCR that stopped the ring
  bool command_stop_untold_ = false;
  unsigned turn_ = 0;  ///< the endpoint that is asked first
  std::array<xhci::Interrupter, xhci::kInterrupters> interrupters_;
  xhci::Ports ports_;
  xhci::Slots slots_{ports_};
  mutable WorkerPool pool_;
};

}  // namespace eidolon::device::usb
