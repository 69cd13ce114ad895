// Chipset devices under several processors at once: what is called for them comes one at a time and in order,
// and nobody waits who need not.
#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "chipset/fixture.h"
#include "device/chipset/debug_console.h"
#include "device/chipset/fw_cfg.h"
#include "device/chipset/keyboard_controller.h"
#include "device/chipset/serial.h"

namespace eidolon::device {
namespace {

template <typename Body>
void on_two_processors(Body body) {
  std::thread other([&] { body(1u); });
  body(0u);
  other.join();
}

/// Those of `text` that are among `letters`.
std::string only(const std::string& text, std::string_view letters) {
  std::string found;
  for (const char c : text)
    if (letters.contains(c)) found.push_back(c);
  return found;
}

constexpr unsigned kTimes = 5000;
constexpr std::string_view kLetters[] = {"ABCDEFGH", "abcdefgh"};

std::string sequence(unsigned processor) {
  std::string text;
  for (unsigned i = 0; i < kTimes; ++i) text.push_back(kLetters[processor][i % 8]);
  return text;
}

TEST(Processors, TheDebugConsoleTakesOneCharacterAtATime) {
  std::string log;
  DebugConsole console([&log](uint8_t byte) { log.push_back(static_cast<char>(byte)); });
  on_two_processors([&](unsigned who) {
    for (const char c : sequence(who)) console.io_write(0, 1, static_cast<uint8_t>(c));
  });
  EXPECT_EQ(only(log, kLetters[0]), sequence(0));
  EXPECT_EQ(only(log, kLetters[1]), sequence(1));
}

TEST(Processors, TheLastCallOfTheA20GateSaysHowItIs) {
  A20Gate gate;
  bool told = true;
  unsigned repeated = 0;
  gate.set_observer([&](bool open) {
    repeated += open == told;
    told = open;
  });
  on_two_processors([&](unsigned who) {
    for (unsigned i = 0; i < kTimes; ++i) gate.set((i + who) % 2 == 0);
  });
  EXPECT_EQ(repeated, 0u);
  EXPECT_EQ(told, gate.open());
}

TEST(Processors, TheKeyboardControllerSwitchesA20WithoutItsLock) {
  RecordingLine keyboard, mouse;
  RecordingMachine machine;
  A20Gate gate;
  KeyboardController controller(keyboard, mouse, machine, gate);
  unsigned switches = 0;
  gate.set_observer([&](bool) {
    (void)controller.status_port().io_read(0, 1);  // would wait for ever if the lock were held
    ++switches;
  });
  controller.status_port().io_write(0, 1, 0xdd);
  controller.status_port().io_write(0, 1, 0xd1);
  controller.data_port().io_write(0, 1, 0xdf);
  EXPECT_EQ(switches, 2u);
  EXPECT_TRUE(gate.open());
}

TEST(Processors, FwCfgSelectsAndReadsWhole) {
  const auto memory = *memory::GuestMemory::create(0x10000);
  ASSERT_TRUE(memory->add_region(0, 0x10000, memory::RegionKind::kRam));
  FwCfg fw_cfg(*memory);
  ASSERT_TRUE(fw_cfg.add_file("0", 8, [] { return FwCfg::Bytes(8, 'x'); }));
  ASSERT_TRUE(fw_cfg.add_file("1", FwCfg::Bytes(8, 'y')));
  std::atomic<unsigned> mixed{0};
  // Select and read in one request: the file is made between the two, and then both go on together.
  on_two_processors([&](unsigned who) {
    const uint64_t request = 0x1000 * (who + 1);
    const std::array<uint32_t, 4> words = {std::byteswap((0x20 + who) << 16 | 8 | 2), std::byteswap(8u), 0,
                                           std::byteswap(static_cast<uint32_t>(request + 0x100))};
    for (unsigned i = 0; i < kTimes / 5; ++i) {
      mixed += !memory->write(request, words.data(), sizeof words);
      fw_cfg.dma_ports().io_write(4, 4, std::byteswap(static_cast<uint32_t>(request)));
      std::array<char, 8> bytes{};
      mixed += !memory->read(request + 0x100, bytes.data(), bytes.size());
      mixed += std::string_view(bytes.data(), 8) != (who == 0 ? "xxxxxxxx" : "yyyyyyyy");
    }
  });
  EXPECT_EQ(mixed, 0u);
}

TEST(Processors, TheSerialLineKeepsEachProcessorsOrder) {
  RecordingLine irq;
  std::string sent;
  Serial uart(irq, [&sent](std::span<const uint8_t> bytes) { sent.append(bytes.begin(), bytes.end()); });
  on_two_processors([&](unsigned who) {
    for (const char c : sequence(who)) uart.io_write(0, 1, static_cast<uint8_t>(c));
  });
  EXPECT_EQ(only(sent, kLetters[0]), sequence(0));
  EXPECT_EQ(only(sent, kLetters[1]), sequence(1));
}

TEST(Processors, ASinkThatWaitsHoldsUpNobodyElse) {
  RecordingLine irq;
  std::string sent;
  std::atomic<bool> waiting{false}, go_on{false};
  Serial uart(irq, [&](std::span<const uint8_t> bytes) {
    waiting = true;
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    sent.append(bytes.begin(), bytes.end());
  });
  uart.io_write(2, 1, 0x01);
  std::thread writer([&] { uart.io_write(0, 1, 'a'); });
  while (!waiting) std::this_thread::yield();
  std::thread second([&] { uart.io_write(0, 1, 'b'); });
  const std::array<uint8_t, 2> typed{'h', 'i'};
  EXPECT_EQ(uart.receive(typed), 2u);
  uart.io_write(1, 1, 0x05);
  EXPECT_EQ(uart.io_read(1, 1), 0x05u);
  EXPECT_EQ(uart.io_read(5, 1), 0x61u);
  EXPECT_EQ(uart.io_read(0, 1), uint64_t{'h'});
  StateWriter state;
  uart.save(state);
  go_on = true;
  writer.join();
  second.join();
  EXPECT_EQ(sent, "ab");
}

}  // namespace
}  // namespace eidolon::device
