// Hostile register accesses: a whole board on its buses, driven by the input's bytes. Each operation is a
// read, a write, an MSR, host input, the passing of time, or a snapshot that is loaded back, damaged or not.
//
// What must hold, besides not crashing: time that passes costs a bounded number of timer callbacks, whatever
// the guest has programmed.
#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "base/assert.h"
#include "device/chipset/acpi_pm.h"
#include "device/chipset/cpu_hotplug.h"
#include "device/chipset/hpet.h"
#include "device/chipset/keyboard_controller.h"
#include "device/chipset/pit.h"
#include "device/chipset/reset_ports.h"
#include "device/chipset/rtc.h"
#include "device/chipset/serial.h"
#include "input.h"
#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"
#include "memory/io_bus.h"
#include "snapshot.h"
#include "x86/msr.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using namespace eidolon::interrupt;

class IgnoringMachine final : public MachineControl {
 public:
  void power_off() override {}
  void reset() override {}
  void debug_exit(uint32_t /*value*/) override {}
};

constexpr uint64_t kBlock = 0x680;

struct Board {
  ManualClock clock;
  TimerQueue timers{clock};
  IgnoringMachine machine;
  cpu::EventFlags events;
  cpu::EventFlags other_events;
  Pic pic;
  ApicBus bus;
  LocalApic local{bus, timers, 0, true, &pic};
  LocalApic other{bus, timers, 1, false};
  IoApic io{bus, 2};
  IrqRouter router{&pic, &io};
  GatedLine pit_gate{router.isa(0)};
  GatedLine rtc_gate{router.isa(8)};
  Serial serial{router.isa(4), [](std::span<const uint8_t>) {}};
  Pit pit{timers, pit_gate};
  Rtc rtc{timers, rtc_gate, 1'700'000'000'000'000'000, {.below_4g = 1u << 30}};
  Hpet hpet{timers,
            {.legacy = {&router.isa(0), &router.isa(8)},
             .gates = {&pit_gate, &rtc_gate},
             .pins = {&router.pin(20), &router.pin(21), &router.pin(22), &router.pin(23)}}};
  AcpiPm pm{timers, router.isa(9), machine, 24};
  PmBlock block{pm, &router.isa(9)};
  CpuHotplug hotplug{{.sockets = 2, .cores = 3}, 2, block, [](unsigned) {}};
  A20Gate a20;
  KeyboardController keyboard{router.isa(1), router.isa(12), machine, a20};
  ResetControl reset_control{machine};
  SystemControlPort port92{machine, a20};
  DebugExit debug_exit{machine};
  memory::IoBus ports;
  memory::IoBus mmio;

  Board() {
    bus.connect(local);
    bus.connect(other);
    bus.connect(io);
    pic.set_output([this](bool level) {
      io.set_pin(0, level);
      local.set_lint(0, level);
    });
    const TscReference tsc{.now = [this] { return static_cast<uint64_t>(clock.now()) * 2; },
                           .hz = 2'000'000'000};
    local.attach(events, tsc);
    other.attach(other_events, tsc);
    attach(ports, Pic::kMasterPort, 2, pic.master_ports());
    attach(ports, Pic::kSlavePort, 2, pic.slave_ports());
    attach(ports, Pic::kElcrPort, 2, pic.elcr_ports());
    attach(ports, Pit::kPort, 4, pit.ports());
    attach(ports, Pit::kSpeakerPort, 1, pit.speaker_port());
    attach(ports, Rtc::kPort, 2, rtc.ports());
    attach(ports, KeyboardController::kDataPort, 1, keyboard.data_port());
    attach(ports, KeyboardController::kStatusPort, 1, keyboard.status_port());
    attach(ports, Serial::kCom1, Serial::kPorts, serial);
    attach(ports, AcpiPm::kPort, AcpiPm::kPorts, pm);
    attach(ports, kBlock, PmBlock::kPorts, block);
    attach(ports, CpuHotplug::kPort, CpuHotplug::kPorts, hotplug);
    attach(ports, ResetControl::kPort, ResetControl::kPorts, reset_control);
    attach(ports, SystemControlPort::kPort, 1, port92);
    attach(ports, DebugExit::kPort, DebugExit::kPorts, debug_exit);
    attach(mmio, LocalApic::kAddress, LocalApic::kLength, local);
    attach(mmio, IoApic::kAddress, IoApic::kLength, io);
    attach(mmio, Hpet::kAddress, Hpet::kLength, hpet);
  }

  static void attach(memory::IoBus& on, uint64_t base, uint64_t length, memory::IoHandler& handler) {
    EIDOLON_ASSERT(on.attach(base, length, handler, "fuzzed").has_value());
  }
  std::array<Stateful*, 12> parts() {
    return {&pic, &local, &io, &serial, &pit, &rtc, &hpet, &pm, &keyboard, &reset_control, &block, &hotplug};
  }
};

using Input = fuzz::InputBytes;

/// Small values, all ones and single bits find more than uniform ones do.
uint64_t take_value(Input& input) {
  const auto kind = input.take<uint8_t>();
  switch (kind & 3) {
    case 0:
      return kind >> 2;
    case 1:
      return uint64_t{1} << (kind >> 2);
    case 2:
      return ~uint64_t{0} >> (kind >> 2);
    default:
      return input.take<uint64_t>();
  }
}

void access(Board& board, Input& input, bool write) {
  struct Range {
    bool mmio;
    uint64_t base;
    uint16_t length;
  };
  static constexpr std::array kRanges = std::to_array<Range>({
      {false, 0x20, 2},
      {false, 0xa0, 2},
      {false, 0x4d0, 2},
      {false, 0x40, 4},
      {false, 0x61, 1},
      {false, 0x70, 2},
      {false, 0x60, 5},
      {false, 0x3f8, 8},
      {false, 0x600, 16},
      {false, kBlock, 128},
      {false, CpuHotplug::kPort, CpuHotplug::kPorts},
      {false, 0xcf8, 4},
      {false, 0x92, 1},
      {false, 0xf4, 4},
      {true, 0xfee00000, 1024},
      {true, 0xfec00000, 72},
      {true, 0xfed00000, 0x180},
      {true, 0xfed00000, 0x400},
  });
  const Range& range = kRanges[input.take<uint8_t>() % kRanges.size()];
  uint64_t offset = input.take<uint16_t>();
  if (range.mmio && (offset & 0x8000) != 0) offset &= ~uint64_t{0xf};  // where the registers are
  const uint64_t address = range.base + offset % range.length;
  const unsigned size = 1u << (input.take<uint8_t>() & (range.mmio ? 3 : 2));
  const memory::IoBus& bus = range.mmio ? board.mmio : board.ports;
  if (write) {
    bus.write(address, size, take_value(input));
  } else {
    EIDOLON_ASSERT(size == 8 || bus.read(address, size) >> (size * 8) == 0);
  }
}

void access_msr(Board& board, Input& input) {
  const auto which = input.take<uint8_t>();
  const uint32_t msr = which == 0   ? uint32_t{x86::kMsrApicBase}
                       : which == 1 ? uint32_t{x86::kMsrTscDeadline}
                                    : x86::kMsrX2ApicFirst + (which & 0x3fu);
  (void)board.local.write_msr(msr, take_value(input));
  (void)board.local.read_msr(msr);
}

void pass_time(Board& board, Input& input) {
  const Nanoseconds step = input.take<uint32_t>() % 20'000'000;
  board.clock.advance(step);
  // Late timers fire once and are armed anew in the future: a handful, however long the step was.
  EIDOLON_ASSERT(board.timers.run_due() < 64);
}

/// The user's: the power button, processors, keys and the mouse.
void use_hands(Board& board, Input& input) {
  const auto which = input.take<uint8_t>();
  if (which < 0x10) {
    board.pm.press_power_button();
  } else if (which < 0x18) {
    (void)board.hotplug.plugged_in(which - 0x10u);
  } else if (which < 0x20) {
    (void)board.hotplug.ask_for(which - 0x18u);
  } else if (which < 0x90) {
    board.keyboard.key({.code = input.take<uint16_t>(), .down = (which & 1) != 0});
  } else {
    board.keyboard.pointer({.x = input.take<int32_t>(),
                            .y = input.take<int16_t>(),
                            .wheel = input.take<int8_t>(),
                            .buttons = input.take<uint8_t>()});
  }
}

void snapshot(Board& board, Input& input) {
  auto parts = board.parts();
  fuzz::snapshot(*parts[input.take<uint8_t>() % parts.size()], input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto board = std::make_unique<Board>();
  Input input({data, size});
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        pass_time(*board, input);
        break;
      case 1:
        access_msr(*board, input);
        break;
      case 2: {
        const std::array<uint8_t, 40> typed{};
        board->serial.receive(typed);
        break;
      }
      case 3:
        (void)board->local.acknowledge();
        break;
      case 4:
        if ((input.take<uint8_t>() & 7) == 0) snapshot(*board, input);
        break;
      case 5:
        use_hands(*board, input);
        break;
      case 6:
      case 7:
      case 8:
        access(*board, input, false);
        break;
      default:
        access(*board, input, true);
        break;
    }
  }
  return 0;
}
