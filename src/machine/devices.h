// The devices of a machine, in one visible list: which there are, and in devices.cpp where they sit and which
// wires they have.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cpu/cpu.h"
#include "device/chipset/a20_gate.h"
#include "device/chipset/acpi_pm.h"
#include "device/chipset/dma_controller.h"
#include "device/chipset/fw_cfg.h"
#include "device/chipset/generation_id.h"
#include "device/chipset/hpet.h"
#include "device/chipset/keyboard_controller.h"
#include "device/chipset/pit.h"
#include "device/chipset/pm_block.h"
#include "device/chipset/reset_ports.h"
#include "device/chipset/rtc.h"
#include "device/chipset/serial.h"
#include "device/display/vga.h"
#include "device/gated_line.h"
#include "device/holdable.h"
#include "device/input/input.h"
#include "device/machine_control.h"
#include "device/pci/config_access.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/root.h"
#include "interrupt/apic_bus.h"
#include "interrupt/io_apic.h"
#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"
#include "interrupt/pic.h"
#include "machine/boot_order.h"
#include "machine/disks.h"
#include "machine/firmware.h"
#include "machine/guest_facts.h"
#include "machine/machine_config.h"
#include "machine/network_devices.h"
#include "machine/pmem_files.h"
#include "machine/saved_media.h"
#include "machine/usb_devices.h"
#include "machine/virtio_devices.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class Devices {
 public:
  /// `memory` is complete: its size is in the CMOS memory.
  Devices(TimerQueue& timers, device::MachineControl& control, memory::GuestMemory& memory,
          device::Serial::Sink serial_sink, const x86::Topology& topology);

  /// Puts every device on its bus. Once, before the processor runs.
  Result<> attach(memory::IoBus& ports, memory::IoBus& mmio);
  /// The devices that the user asked for. Before configure_pci().
  Result<> add(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio, const Clock& clock);
  /// The VGA adapter, in the mode that a video BIOS would leave it in. Before configure_pci().
  Result<> add_vga(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio,
                   const Clock& clock);
  /// No device's thread runs when this returns. The last thing that is asked of them.
  void stop();
  /// Persistent memory, if there is some (PmemFiles::show). After add().
  Result<> show_pmem() { return pmem_.show(memory_); }
  /// Requests that wait for the host fail, for the machine is to end. From any thread.
  void stop_waiting() { disks_.stop_waiting(); }
  /// Does on the PCI bus what firmware would do. After attach(), for a machine without firmware.
  Result<> configure_pci(memory::IoBus& ports);
  /// For a machine with firmware: puts it where the processor starts. After add().
  Result<> load_firmware(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio);
  /// Who takes notifications of the guest's as events, or null: nobody. While all processors stand.
  void give_doorbells(memory::Doorbells* taker) {
    pci_.addresses().give_doorbells(taker);
    virtio_.give_doorbells(taker);
  }
  /// What the guest can be told of the machine.
  [[nodiscard]] PciParts pci() const {
    return {pci_, host_bridge_, lpc_, vga_ != nullptr, virtio_.on_mmio()};
  }

  /// One for each processor. They are on no bus of these devices': each processor sees its own.
  [[nodiscard]] std::span<const std::unique_ptr<interrupt::LocalApic>> local_apics() const {
    return local_apics_;
  }
  [[nodiscard]] const interrupt::ApicBus& apic_bus() const { return apic_bus_; }
  [[nodiscard]] interrupt::ApicBus& apic_bus() { return apic_bus_; }

  // For a snapshot.
  /// Everything with a state, in the order in which it is loaded: wires and what they lead to come first.
  [[nodiscard]] std::vector<Stateful*> parts();
  [[nodiscard]] std::vector<SavedMedium> media();
  /// No thread of a device's touches memory or a disk until release(). Fails, and nothing is held, if a
  /// request waits for the host, or a device has what a snapshot cannot hold.
  Result<> hold();
  void release();
  /// While all are held: another process may have what only one may, disks and published ports. Nothing has
  /// changed on failure.
  Result<> let_go();
  /// False: another process has some of the disks.
  [[nodiscard]] bool take_back();
  /// While parts are loaded, the wires between them are still.
  [[nodiscard]] interrupt::IrqRouter& wires() { return irqs_; }

  [[nodiscard]] device::Serial& serial() { return serial_; }
  [[nodiscard]] device::AcpiPm& acpi_pm() { return acpi_pm_; }
  [[nodiscard]] device::PmBlock& pm_block() { return pm_block_; }
  [[nodiscard]] device::GenerationId& generation_id() { return generation_id_; }
  [[nodiscard]] device::input::Input& input() { return input_; }
  /// Null: the machine has none.
  [[nodiscard]] device::virtio::Balloon* balloon() const { return virtio_.balloon(); }
  /// Null: the machine has none.
  [[nodiscard]] const device::display::Vga* vga() const { return vga_.get(); }

 private:
  TimerQueue& timers_;
  memory::GuestMemory& memory_;
  std::vector<device::Holdable*> held_;  ///< from hold() to release()
  interrupt::Pic pic_;
  interrupt::ApicBus apic_bus_;
  interrupt::IoApic io_apic_{apic_bus_};
  interrupt::IrqRouter irqs_{&pic_, &io_apic_};
  std::vector<std::unique_ptr<interrupt::LocalApic>> local_apics_;
  device::GatedLine pit_line_{irqs_.isa(0)};  ///< the HPET can take the place of the PIT ...
  device::GatedLine rtc_line_{irqs_.isa(8)};  ///< ... and of the RTC's interrupt
  device::Pit pit_;
  device::Rtc rtc_;
  device::Hpet hpet_;
  device::Serial serial_;
  device::A20Gate a20_;
  device::KeyboardController keyboard_;
  device::AcpiPm acpi_pm_;
  device::PmBlock pm_block_{acpi_pm_, &irqs_.isa(device::AcpiPm::kSciIrq)};
  device::GenerationId generation_id_{pm_block_};
  device::ResetControl reset_control_;
  device::SystemControlPort system_control_;
  device::DebugExit debug_exit_;
  device::DmaController isa_dma_;
  device::FwCfg fw_cfg_;
  device::pci::Root pci_;
  device::pci::ConfigPorts pci_config_{pci_, reset_control_};
  device::pci::HostBridge host_bridge_{pci_};
  device::pci::Lpc lpc_{pci_, &pm_block_};
  device::input::Input input_;
  std::unique_ptr<device::display::Vga> vga_;
  UsbDevices usb_;
  BootOrder boot_order_;
  Disks disks_;
  PmemFiles pmem_;
  NetworkDevices networks_;
  VirtioDevices virtio_;  ///< some on the media of disks_ or pmem_, or on networks_
  Firmware firmware_;
};

}  // namespace eidolon::machine
