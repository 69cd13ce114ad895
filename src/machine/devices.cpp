#include "machine/devices.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/try.h"

namespace eidolon::machine {

using device::AcpiPm;
using device::DebugExit;
using device::Hpet;
using device::KeyboardController;
using device::Pit;
using device::ResetControl;
using device::Rtc;
using device::Serial;
using device::SystemControlPort;
using interrupt::IoApic;
using interrupt::LocalApic;
using interrupt::Pic;

namespace {

Nanoseconds host_utc() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

/// As the CMOS memory counts: everything up to the end of RAM below 4 GiB, holes included, and what is above.
Rtc::MemorySizes memory_sizes(const memory::GuestMemory& memory) {
  constexpr uint64_t k4GiB = uint64_t{1} << 32;
  Rtc::MemorySizes sizes;
  for (const memory::Region& region : memory.regions()) {
    if (region.kind != memory::RegionKind::kRam) continue;
    if (region.base < k4GiB) {
      sizes.below_4g = std::max(sizes.below_4g, region.base + region.length);
    } else {
      sizes.above_4g += region.length;
    }
  }
  return sizes;
}

std::array<interrupt::IrqLine*, Hpet::kPins> hpet_pins(interrupt::IrqRouter& irqs) {
  std::array<interrupt::IrqLine*, Hpet::kPins> lines{};
  for (unsigned i = 0; i < Hpet::kPins; ++i) lines[i] = &irqs.pin(Hpet::kFirstPin + i);
  return lines;
}

}  // namespace

Devices::Devices(TimerQueue& timers, device::MachineControl& control, const memory::GuestMemory& memory,
                 Serial::Sink serial_sink)
    : local_apic_(apic_bus_, timers, 0, true, &pic_),
      pit_(timers, pit_line_),
      rtc_(timers, rtc_line_, host_utc(), memory_sizes(memory)),
      hpet_(timers, {.legacy = {&irqs_.isa(0), &irqs_.isa(8)},
                     .gates = {&pit_line_, &rtc_line_},
                     .pins = hpet_pins(irqs_)}),
      serial_(irqs_.isa(4), std::move(serial_sink)),
      keyboard_(irqs_.isa(1), control),
      acpi_pm_(timers, irqs_.isa(AcpiPm::kSciIrq), control),
      reset_control_(control),
      system_control_(control),
      debug_exit_(control) {
  apic_bus_.connect(local_apic_);
  apic_bus_.connect(io_apic_);
  // The 8259 pair's INT reaches the processor both ways that a PC has: by the I/O APIC's pin 0 as ExtINT, and
  // as the virtual wire to the local APIC's LINT0.
  pic_.set_output([this](bool level) {
    io_apic_.set_pin(0, level);
    local_apic_.set_lint(0, level);
  });
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
      {AcpiPm::kPort, AcpiPm::kPorts, acpi_pm_, "acpi pm"},
      {ResetControl::kPort, ResetControl::kPorts, reset_control_, "reset control"},
  };
  const std::vector<Place> mmio_places = {
      {IoApic::kAddress, IoApic::kLength, io_apic_, "ioapic"},
      {Hpet::kAddress, Hpet::kLength, hpet_, "hpet"},
  };
  for (const Place& place : port_places) {
    EIDOLON_TRY(ports.attach(place.base, place.length, place.handler, place.name));
  }
  for (const Place& place : mmio_places) {
    EIDOLON_TRY(mmio.attach(place.base, place.length, place.handler, place.name));
  }
  EIDOLON_TRY(mmio.attach(local_apic_page_, LocalApic::kLength, local_apic_, "lapic"));
  local_apic_.set_base_observer([this, &mmio](uint64_t address) { move_local_apic(mmio, address); });
  return {};
}

/// On the processor's thread, the only one that uses the bus. Where another device is, that one goes on
/// answering, and where there is RAM, the RAM.
void Devices::move_local_apic(memory::IoBus& mmio, uint64_t address) {
  if (local_apic_page_ != 0) mmio.detach(local_apic_page_);
  local_apic_page_ = 0;
  if (address != 0 && mmio.attach(address, LocalApic::kLength, local_apic_, "lapic"))
    local_apic_page_ = address;
}

void Devices::attach(cpu::Cpu& processor) {
  local_apic_.attach(processor.events, {.hz = uint64_t{processor.model.tsc_khz()} * 1000});
}

}  // namespace eidolon::machine
