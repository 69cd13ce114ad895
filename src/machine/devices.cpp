#include "machine/devices.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "backend/terminal.h"
#include "base/bits.h"
#include "base/try.h"
#include "boot/memory_layout.h"
#include "boot/read_file.h"
#include "device/display/window.h"
#include "device/holdable.h"
#include "device/pci/placement.h"
#include "memory/attach_device.h"

namespace eidolon::machine {

using device::AcpiPm;
using device::DebugExit;
using device::DmaController;
using device::FwCfg;
using device::Hpet;
using device::KeyboardController;
using device::Pit;
using device::ResetControl;
using device::Rtc;
using device::Serial;
using device::SystemControlPort;
using device::pci::ConfigPorts;
using interrupt::IoApic;
using interrupt::LocalApic;
using interrupt::Pic;

namespace {

constexpr unsigned kVgaDevice = 2;  ///< where a Q35 has its graphics

Nanoseconds host_utc() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

Rtc::MemorySizes memory_sizes(const memory::GuestMemory& memory) {
  const boot::RamSizes sizes = boot::ram_sizes(memory);
  return {.below_4g = sizes.low_end, .above_4g = sizes.high};
}

std::array<interrupt::IrqLine*, Hpet::kPins> hpet_pins(interrupt::IrqRouter& irqs) {
  std::array<interrupt::IrqLine*, Hpet::kPins> lines{};
  for (unsigned i = 0; i < Hpet::kPins; ++i) lines[i] = &irqs.pin(Hpet::kFirstPin + i);
  return lines;
}

/// The 8259 pair is wired to that of the bootstrap processor, which alone can tell its vector.
std::vector<std::unique_ptr<LocalApic>> make_local_apics(const x86::Topology& topology,
                                                         interrupt::ApicBus& bus, TimerQueue& timers,
                                                         Pic& pic) {
  std::vector<std::unique_ptr<LocalApic>> apics;
  for (unsigned number = 0; number < topology.processors(); ++number)
    apics.push_back(std::make_unique<LocalApic>(bus, timers, topology.apic_id(number), number == 0, &pic));
  return apics;
}

}  // namespace

Devices::Devices(TimerQueue& timers, device::MachineControl& control, memory::GuestMemory& memory,
                 Serial::Sink serial_sink, const x86::Topology& topology)
    : timers_(timers),
      memory_(memory),
      local_apics_(make_local_apics(topology, apic_bus_, timers, pic_)),
      pit_(timers, pit_line_),
      rtc_(timers, rtc_line_, host_utc(), memory_sizes(memory)),
      hpet_(timers, {.legacy = {&irqs_.isa(0), &irqs_.isa(8)},
                     .gates = {&pit_line_, &rtc_line_},
                     .pins = hpet_pins(irqs_)}),
      serial_(irqs_.isa(4), std::move(serial_sink)),
      keyboard_(irqs_.isa(1), irqs_.isa(12), control, a20_),
      acpi_pm_(timers, irqs_.isa(AcpiPm::kSciIrq), control),
      reset_control_(control),
      system_control_(control, a20_),
      debug_exit_(control),
      isa_dma_(memory),
      fw_cfg_(memory),
      pci_(memory, apic_bus_, irqs_) {
  input_.add(static_cast<device::input::Keyboard&>(keyboard_));
  input_.add(static_cast<device::input::Pointer&>(keyboard_));
  for (const auto& apic : local_apics_) apic_bus_.connect(*apic);
  apic_bus_.connect(io_apic_);
  // The 8259 pair's INT reaches the processor both ways that a PC has: by the I/O APIC's pin 0 as ExtINT, and
  // as the virtual wire to the local APIC's LINT0.
  pic_.set_output([this](bool level) {
    io_apic_.set_pin(0, level);
    local_apics_.front()->set_lint(0, level);
  });
  pci_.add(0, 0, host_bridge_);
  pci_.add(device::pci::Lpc::kDevice, 0, lpc_);
}

Result<> Devices::attach(memory::IoBus& ports, memory::IoBus& mmio) {
  struct Place {
    uint64_t base;
    uint64_t length;
    memory::IoHandler& handler;
    const char* name;
  };
  const std::vector<Place> port_places = {
      {Pic::kMasterPort, 2, pic_.master_ports(), "pic master"},
      {Pic::kSlavePort, 2, pic_.slave_ports(), "pic slave"},
      {Pic::kElcrPort, 2, pic_.elcr_ports(), "elcr"},
      {Pit::kPort, 4, pit_.ports(), "pit"},
      {Pit::kSpeakerPort, 1, pit_.speaker_port(), "speaker"},
      {KeyboardController::kDataPort, 1, keyboard_.data_port(), "i8042 data"},
      {KeyboardController::kStatusPort, 1, keyboard_.status_port(), "i8042 status"},
      {Rtc::kPort, 2, rtc_.ports(), "rtc"},
      {SystemControlPort::kPort, 1, system_control_, "port92"},
      {DebugExit::kPort, DebugExit::kPorts, debug_exit_, "debug exit"},
      {Serial::kCom1, Serial::kPorts, serial_, "serial0"},
      {DmaController::kFirstPort, DmaController::kFirstPorts, isa_dma_.first_ports(), "isa dma"},
      {DmaController::kSecondPort, DmaController::kSecondPorts, isa_dma_.second_ports(), "isa dma, words"},
      {DmaController::kPagePort, DmaController::kPagePorts, isa_dma_.page_ports(), "isa dma pages"},
      {FwCfg::kPort, FwCfg::kPorts, fw_cfg_, "fw_cfg"},
      {FwCfg::kDmaPort, FwCfg::kDmaPorts, fw_cfg_.dma_ports(), "fw_cfg dma"},
      {ConfigPorts::kPort, ConfigPorts::kPorts, pci_config_, "pci configuration"},
  };
  const std::vector<Place> mmio_places = {
      {IoApic::kAddress, IoApic::kLength, io_apic_, "ioapic"},
      {Hpet::kAddress, Hpet::kLength, hpet_, "hpet"},
  };
  for (const Place& place : port_places) {
    EIDOLON_TRY(ports.attach(place.base, place.length, place.handler, place.name));
  }
  for (const Place& place : mmio_places) {
    EIDOLON_TRY(memory::attach_device(mmio, memory_, place.base, place.length, place.handler, place.name));
  }
  ports.set_fallback(&pci_.ports());
  mmio.set_fallback(&pci_.addresses());
  return {};
}

Result<> Devices::add(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio,
                      const Clock& clock) {
  EIDOLON_TRY(generation_id_.place(memory_));
  EIDOLON_TRY(add_common_items(fw_cfg_, config, memory_));
  if (config.virtio_bus == VirtioBus::kMmio) virtio_.use_mmio(memory_);
  if (config.virtio_bus == VirtioBus::kTransitional) virtio_.use_transitional();
  virtio_.add(config, pci_);
  EIDOLON_TRY(networks_.add(config,
                            {.pci = pci_,
                             .ports = ports,
                             .irqs = irqs_,
                             .timers = timers_,
                             .order = boot_order_,
                             .memory = memory_},
                            virtio_));
  EIDOLON_TRY(disks_.add(config,
                         {.pci = pci_,
                          .ports = ports,
                          .irqs = irqs_,
                          .dma = isa_dma_,
                          .rtc = rtc_,
                          .order = boot_order_,
                          .memory = memory_},
                         virtio_));
  usb_.add(config.usb, pci_, clock, input_);
  EIDOLON_TRY(virtio_.add_console(config, pci_));
  virtio_.add_balloon(config, pci_);
  EIDOLON_TRY(virtio_.add_vsock(config, pci_));
  EIDOLON_TRY(virtio_.add_shares(config, pci_, memory_));
  virtio_.add_input(config.virtio_input, pci_, input_);
  EIDOLON_TRY(pmem_.add(config, pci_, virtio_, memory_));
  if (pci_.left_out() != 0)
    return fail(
        "the machine's devices are {} more than its PCI bus has room for; leave out network cards, shared "
        "folders or disks, or put disks on the SCSI controller, which takes one place for all (if=scsi)",
        pci_.left_out());
  return virtio_.attach(mmio);
}

void Devices::stop() {
  usb_.stop();
  input_.remove_all();
  virtio_.remove_all();
  networks_.remove_cards();
  disks_.remove_all();
}

std::vector<Stateful*> Devices::parts() {
  std::vector<Stateful*> parts = {&irqs_, &pic_, &io_apic_};
  for (const auto& apic : local_apics_) parts.push_back(apic.get());
  for (Stateful* part :
       std::initializer_list<Stateful*>{&pit_, &rtc_, &hpet_, &serial_, &keyboard_, &acpi_pm_, &pm_block_,
                                        &reset_control_, &system_control_, &isa_dma_, &fw_cfg_, &pci_config_})
    parts.push_back(part);
  for (const auto& place : pci_.places()) parts.push_back(place.occupant);
  for (Stateful* device : virtio_.parts()) parts.push_back(device);
  if (Stateful* floppy = disks_.floppy()) parts.push_back(floppy);
  if (Stateful* flash = firmware_.flash()) parts.push_back(flash);
  for (Stateful* network : networks_.parts()) parts.push_back(network);
  return parts;
}

std::vector<SavedMedium> Devices::media() {
  std::vector<SavedMedium> media = disks_.saved_media();
  for (const SavedMedium& file : pmem_.saved_media()) media.push_back(file);
  if (auto* variables = firmware_.variables())
    media.push_back({.name = kVariablesName, .path = firmware_.variables_path(), .medium = variables});
  return media;
}

Result<> Devices::hold() {
  constexpr std::chrono::seconds kPatience{5};
  for (Stateful* part : parts()) {
    auto* device = dynamic_cast<device::Holdable*>(part);
    if (device == nullptr) continue;
    if (device->hold(kPatience)) {
      held_.push_back(device);
      if (const std::string_view obstacle = device->obstacle(); !obstacle.empty()) {
        release();
        return fail("{}", obstacle);
      }
      continue;
    }
    release();
    return fail(
        "a request of '{}' has been waiting for the host for {} s, and a snapshot has to wait for it; look "
        "after "
        "that disk and try again",
        part->name(), kPatience.count());
  }
  return {};
}

Result<> Devices::let_go() {
  for (const SavedMedium& medium : media()) {
    if (medium.medium->let_go() == device::storage::IoStatus::kDone) continue;
    (void)take_back();
    return fail("the host cannot write what waits for '{}'; look after that disk", medium.path);
  }
  networks_.let_go();
  return {};
}

bool Devices::take_back() {
  bool all = true;
  for (const SavedMedium& medium : media()) all = medium.medium->take_back() && all;
  if (all && !networks_.take_back())
    backend::say("eidolon: a published port is taken by now, and leads to the guest no more");
  return all;
}

void Devices::release() {
  for (device::Holdable* device : std::exchange(held_, {})) device->release();
}

Result<> Devices::add_vga(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio,
                          const Clock& clock) {
  using device::display::Vga;
  std::vector<uint8_t> bios;
  if (std::filesystem::exists(config.vga_bios_path))
    bios = EIDOLON_TRY(boot::read_file(config.vga_bios_path, "video BIOS", device::pci::Rom::kMost));
  const memory::Region* frame = EIDOLON_TRY(memory_.add_window(Vga::kMemoryBytes));
  vga_ = std::make_unique<Vga>(clock, memory_, *frame, std::move(bios));
  EIDOLON_TRY(ports.attach(Vga::kPort, Vga::kPorts, vga_->ports(), "vga"));
  EIDOLON_TRY(ports.attach(Vga::kVbePort, Vga::kVbePorts, vga_->vbe_ports(), "vbe"));
  EIDOLON_TRY(memory::attach_device(mmio, memory_, device::display::kWindowBase,
                                    device::display::kWindowBytes, vga_->window(), "vga window"));
  pci_.add(kVgaDevice, 0, *vga_);
  vga_->enter_text_mode();
  return {};
}

Result<> Devices::configure_pci(memory::IoBus& ports) {
  const device::pci::Windows windows = {
      .ports = {boot::kPciPortBase, boot::kPciPortEnd},
      .memory32 = {boot::kMmioHoleBase, boot::kPciConfigBase},
      .memory64 = {boot::pci_high_base(memory_), boot::pci_high_base(memory_) + boot::kPciHighBytes},
      .config = boot::kPciConfigBase,
      .pm = boot::kPmEventPort};
  EIDOLON_TRY(device::pci::place(pci_, host_bridge_, lpc_, windows));
  // PCI's interrupts are levels for the 8259 pair too.
  for (unsigned line = 0; line < device::pci::Pirq::kLines; ++line) {
    const unsigned irq = device::pci::irq_of_line(line);
    const uint64_t port = Pic::kElcrPort + irq / 8;
    ports.write(port, 1, ports.read(port, 1) | uint64_t{1} << irq % 8);
  }
  return {};
}

Result<> Devices::load_firmware(const MachineConfig& config, memory::IoBus& ports, memory::IoBus& mmio) {
  EIDOLON_TRY(firmware_.load(config.firmware, memory_, host_bridge_, a20_, ports, mmio));
  return add_firmware_items(fw_cfg_, config, memory_, pci(), boot_order_);
}

}  // namespace eidolon::machine
