// The devices under the threads of a real machine: a processor that programs and acknowledges, the timer
// thread, and host input, all at once. ThreadSanitizer looks for races and lock-order inversions here;
// without it, the test still shows that nothing deadlocks and that interrupts keep coming.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "chipset/fixture.h"
#include "device/chipset/hpet.h"
#include "device/chipset/pit.h"
#include "device/chipset/rtc.h"
#include "device/chipset/serial.h"
#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"
#include "x86/msr.h"

namespace eidolon::device {
namespace {

using namespace interrupt;

struct Board {
  HostClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events;
  Pic pic;
  ApicBus bus;
  LocalApic local{bus, timers, 0, true, &pic};
  IoApic io{bus, 1};
  IrqRouter router{&pic, &io};
  GatedLine pit_gate{router.isa(0)};
  GatedLine rtc_gate{router.isa(8)};
  std::atomic<uint64_t> sent{0};
  Serial serial{router.isa(4), [this](std::span<const uint8_t> bytes) { sent += bytes.size(); }};
  Pit pit{timers, pit_gate};
  Rtc rtc{timers, rtc_gate, 0, {}};
  Hpet hpet{timers,
            {.legacy = {&router.isa(0), &router.isa(8)},
             .gates = {&pit_gate, &rtc_gate},
             .pins = {&router.pin(20), &router.pin(21), &router.pin(22), &router.pin(23)}}};

  Board() {
    bus.connect(local);
    bus.connect(io);
    pic.set_output([this](bool level) { local.set_lint(0, level); });
    local.attach(events, {});
    local.io_write(0xf0, 4, 0x1ff);
    route(2, 0x32);
    route(4, 0x34);
    route(8, 0x38);
    route(20, 0x8044);  // level-triggered
    // The PIC delivers the same sources through the virtual wire.
    pic.master_ports().io_write(0, 1, 0x11);
    for (const uint8_t byte : {0x50, 0x04, 0x03, 0x00}) pic.master_ports().io_write(1, 1, byte);
  }
  void route(unsigned pin, uint32_t low) {
    io.io_write(0, 4, 0x10 + 2 * pin);
    io.io_write(0x10, 4, low);
  }
};

TEST(Threads, ProcessorTimersAndInputTogether) {
  auto board = std::make_unique<Board>();
  std::array<unsigned, 256> taken{};
  std::atomic<bool> stop{false};
  board->timers.start();

  std::thread input([&] {
    const std::array<uint8_t, 3> typed{'a', 'b', 'c'};
    while (!stop) {
      board->serial.receive(typed);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });

  // The processor.
  const auto program = [&] {
    board->serial.io_write(2, 1, 0x01);
    board->serial.io_write(4, 1, 0x0b);
    board->serial.io_write(1, 1, 0x03);
    board->pit.ports().io_write(3, 1, 0x34);
    board->pit.ports().io_write(0, 1, 0x00);
    board->pit.ports().io_write(0, 1, 0x02);
    board->rtc.ports().io_write(0, 1, 0x0b);
    board->rtc.ports().io_write(1, 1, 0x42);
    board->hpet.io_write(0x100, 4, 20u << 9 | 0x4e);
    board->hpet.io_write(0x108, 8, board->hpet.io_read(0xf0, 8) + 20'000);
    board->hpet.io_write(0x10, 4, 1);
    board->local.io_write(0x320, 4, 0x20060);
    board->local.io_write(0x3e0, 4, 0xb);
    board->local.io_write(0x380, 4, 100'000);
  };
  program();
  const auto all_came = [&] {
    return std::ranges::all_of(std::array{0x32u, 0x34u, 0x38u, 0x44u, 0x50u, 0x60u},
                               [&](unsigned vector) { return taken[vector] > 10; }) &&
           board->sent.load() > 10;
  };
  // For a while, and for longer where threads get little time.
  const Nanoseconds start = board->clock.now(), least = 300'000'000, limit = 20'000'000'000;
  for (Nanoseconds spent = 0; spent < least || (spent < limit && !all_came());
       spent = board->clock.now() - start) {
    board->events.take(cpu::kEventInterrupt);
    while (const auto vector = board->local.acknowledge()) {
      ++taken[*vector];
      (void)board->serial.io_read(2, 1);
      (void)board->serial.io_read(0, 1);
      board->serial.io_write(0, 1, 'x');
      board->rtc.ports().io_write(0, 1, 0x0c);
      (void)board->rtc.ports().io_read(1, 1);
      board->hpet.io_write(0x20, 4, 1);
      board->local.io_write(0xb0, 4, 0);
      if (*vector == 0x32 && taken[0x32] % 64 == 0) program();
    }
  }
  stop = true;
  input.join();
  board->timers.stop();

  EXPECT_GT(taken[0x32], 10u) << "PIT through the I/O APIC";
  EXPECT_GT(taken[0x34], 10u) << "UART";
  EXPECT_GT(taken[0x38], 10u) << "RTC";
  EXPECT_GT(taken[0x44], 10u) << "HPET, level-triggered";
  EXPECT_GT(taken[0x50], 10u) << "PIT through the 8259";
  EXPECT_GT(taken[0x60], 10u) << "local APIC timer";
  EXPECT_GT(board->sent.load(), 10u);
}

}  // namespace
}  // namespace eidolon::device
