// Configuration space under several processors at once: what follows from a write is done before the next
// access begins, and nothing is called with the function's own lock held.
#include <atomic>
#include <barrier>
#include <thread>

#include "device/pci/pam.h"
#include "pci/fixture.h"

namespace eidolon::device::pci {
namespace {

/// Runs `body(0)` and `body(1)` on two threads, `rounds` times, each round from a common start; after each,
/// `check()` alone.
template <typename Body, typename Check>
void in_pairs(unsigned rounds, Body body, Check check) {
  std::barrier line(3);
  const auto main = [&](unsigned who) {
    for (unsigned round = 0; round < rounds; ++round) {
      line.arrive_and_wait();
      body(who);
      line.arrive_and_wait();
    }
  };
  std::thread first(main, 0), second(main, 1);
  for (unsigned round = 0; round < rounds; ++round) {
    line.arrive_and_wait();
    line.arrive_and_wait();
    check();
  }
  first.join();
  second.join();
}

constexpr unsigned kRounds = 2000;

class ProcessorsTest : public PciTest {};

TEST_F(ProcessorsTest, TheWindowIsWhereItsRegisterSays) {
  constexpr uint32_t kBases[] = {0xa0000001, 0xb0000001};
  unsigned lost = 0;
  in_pairs(
      kRounds, [&](unsigned who) { write(0, 0x60, 4, kBases[who]); },
      [&] { lost += mmio.read(bridge.window_base() + (kSample << 15), 4) != 0x56781234; });
  EXPECT_EQ(lost, 0u);
}

TEST_F(ProcessorsTest, InterruptsGoWhereTheRoutingRegistersSay) {
  // Line D of a device goes to IRQ 10 or 11; the 8259's request register tells which.
  constexpr uint32_t kIrqs[] = {10, 11};
  IrqLine& line = root.pirq().source(3);
  for (const uint8_t byte : {0x11, 0x70, 0x02, 0x01})
    pic.slave_ports().io_write(byte == 0x11 ? 0 : 1, 1, byte);
  pic.elcr_ports().io_write(1, 1, 0x0c);  // levels
  line.set(true);
  unsigned lost = 0;
  in_pairs(
      kRounds, [&](unsigned who) { write(Lpc::kDevice, 0x63, 1, kIrqs[who]); },
      [&] {
        pic.slave_ports().io_write(0, 1, 0x0a);
        lost += pic.slave_ports().io_read(0, 1) != 1u << (read(Lpc::kDevice, 0x63, 1) - 8);
      });
  EXPECT_EQ(lost, 0u);
}

/// A device whose hooks look for others' traces.
class Watcher final : public Function, public memory::IoHandler {
 public:
  static constexpr unsigned kLatch = 0xf0;

  explicit Watcher(const memory::Region* window)
      : Function("watcher", {.vendor = 0x1234, .device = 1, .class_code = 0x088000}) {
    config().define<uint32_t>(kLatch, 0);
    add_bar(0, BarKind::kMemory32, window->length, *this, window);
    add_express();
    add_interrupt_pin();
  }
  using Function::set_interrupt;
  [[nodiscard]] uint64_t io_read(uint64_t, unsigned) override { return 0; }
  void io_write(uint64_t, unsigned, uint64_t) override {}

  unsigned disturbed = 0;  ///< by the order of things, one hook at a time
  unsigned resets = 0;

 protected:
  void reset_device() override {
    for (unsigned i = 0; i < 20; ++i) {
      disturbed += read_here<uint16_t>(kCommand) != 0;
      std::this_thread::yield();
    }
    ++resets;
  }
  void save_device(StateWriter&) const override {}
  void load_device(StateReader&) override {}
  void config_written(unsigned, unsigned) override {
    const auto before = read_here<uint8_t>(kInterruptLine);
    std::this_thread::yield();
    disturbed += before != read_here<uint8_t>(kInterruptLine);
  }
  void before_config_read(unsigned offset, unsigned) override {
    if (offset != kLatch) return;
    with_config([this](ConfigSpace& config) { config.set<uint32_t>(kLatch, ++count_); });
    std::this_thread::yield();
  }

 private:
  template <typename T>
  T read_here(unsigned offset) const {
    return with_config([offset](ConfigSpace& config) { return config.get<T>(offset); });
  }
  uint32_t count_ = 0;
};

class HooksTest : public PciTest {
 protected:
  static constexpr unsigned kWatcher = 4;
  HooksTest() { root.add(kWatcher, 0, watcher); }
  Watcher watcher{*memory->add_window(1 << 20)};
};

TEST_F(HooksTest, NoOtherWriteComesBetweenAWriteAndItsEffects) {
  in_pairs(
      kRounds, [&](unsigned who) { write(kWatcher, kInterruptLine, 1, who + 1); }, [] {});
  EXPECT_EQ(watcher.disturbed, 0u);
}

TEST_F(HooksTest, NoOtherReadComesBetweenTheComputationAndTheRead) {
  unsigned same = 0;
  std::array<uint32_t, 2> got{};
  in_pairs(
      kRounds, [&](unsigned who) { got[who] = read(kWatcher, Watcher::kLatch); },
      [&] { same += got[0] == got[1]; });
  EXPECT_EQ(same, 0u);
}

TEST_F(HooksTest, NoWriteComesIntoAFunctionLevelReset) {
  unsigned control = 0;
  for (unsigned at = read(kWatcher, kCapabilities, 1); at != 0; at = read(kWatcher, at + 1, 1))
    if (read(kWatcher, at, 1) == kCapabilityExpress) control = at + 8;
  ASSERT_NE(control, 0u);
  in_pairs(
      kRounds / 4,
      [&](unsigned who) {
        if (who == 0) return write(kWatcher, control, 2, 0x8000);
        for (unsigned i = 0; i < 8; ++i) write(kWatcher, kCommand, 2, kCommandBusMaster);
      },
      [] {});
  EXPECT_GE(watcher.resets, kRounds / 4);
  EXPECT_EQ(watcher.disturbed, 0u);
}

TEST_F(HooksTest, MemoryIsMovedWithoutTheLockThatInterruptsTake) {
  unsigned moves = 0;
  memory->set_map_observer([&] {
    watcher.set_interrupt(true);  // would wait for ever
    ++moves;
  });
  write(kWatcher, kFirstBar, 4, 0xc0000000);
  write(kWatcher, kCommand, 2, kCommandMemory);
  EXPECT_EQ(moves, 1u);
  EXPECT_NE(memory->find(0xc0000000), nullptr);
  write(kWatcher, kFirstBar, 4, 0xc8000000);
  EXPECT_EQ(memory->find(0xc0000000), nullptr);
  EXPECT_NE(memory->find(0xc8000000), nullptr);
  watcher.reset();
  EXPECT_EQ(moves, 3u);
  EXPECT_EQ(memory->find(0xc8000000), nullptr);
}

TEST_F(ProcessorsTest, TheFirmwaresMemoryIsWhatThePamRegistersSay) {
  constexpr uint64_t kRom = 0x40000, kRomBase = 0xfffc0000;
  const auto other = *memory::GuestMemory::create(1 << 20);
  ASSERT_TRUE(other->add_region(kRomBase, kRom, memory::RegionKind::kRom));
  uint8_t* rom = other->host(kRomBase, kRom);
  std::fill_n(rom, kRom, uint8_t{0xaa});
  Pam pam(*other);
  ASSERT_TRUE(pam.attach(rom + kRom, kRom));
  HostBridge with_pam(root);
  with_pam.connect(pam);
  unsigned turn = 0, wrong = 0;
  in_pairs(
      kRounds,
      [&](unsigned who) {
        // One processor each for the upper segment and for the two below it, and both for PAM5.
        with_pam.config_write(0x90 + 6 * who, 1, turn % 2 == 0 ? 0x33 : 0);
        with_pam.config_write(0x95, 1, who == 0 ? 0x33 : 0);
      },
      [&] {
        const uint8_t shown = turn % 2 == 0 ? 0 : 0xaa,
                      shared = with_pam.config_read(0x95, 1) != 0 ? 0 : 0xaa;
        wrong += *other->host(0xf0000, 1) != shown || *other->host(0xe8000, 1) != shown ||
                 *other->host(0xe0000, 1) != shared;
        ++turn;
      });
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace eidolon::device::pci
