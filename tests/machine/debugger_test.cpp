// A debugger on a machine of its own, under `step`: orders, meetings and the end. Engines: tests/translate
// and tests/kvm; with GDB: tests/boot/os/gdb_test.cpp.
#include "machine/debugger.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "boot/os/flat_kernel.h"

namespace eidolon::machine {
namespace {

using namespace std::chrono_literals;
using boot_test::FlatKernel;
using Order = Debugger::Order;
using Why = Debugger::Stop::Why;

constexpr uint64_t kEntry = FlatKernel::kEntry;

class DebuggerTest : public testing::Test {
 protected:
  /// Two processors, of which the second waits for a SIPI.
  void make(Debugger::Start start) {
    MachineConfig config;
    config.kernel_path = kernel_.path();
    config.memory_bytes = 16 << 20;
    config.engine = EngineChoice::kStep;
    config.topology = {.sockets = 1, .cores = 2, .threads = 1};
    auto made = Machine::create(config, [](std::span<const uint8_t>) {});
    ASSERT_TRUE(made) << made.error().message;
    machine_ = *std::move(made);
    debugger_.emplace(*machine_, start, [this] { told_.store(true); });
    thread_ = std::thread([this] { ending_ = machine_->run(); });
  }
  void TearDown() override {
    if (machine_ != nullptr) machine_->stop();
    debugger_.reset();
    if (thread_.joinable()) thread_.join();
  }
  cpu::State state(size_t processor = 0) {
    cpu::State copy;
    EXPECT_TRUE(debugger_->visit(processor, [&](const cpu::State& state) { copy = state; }));
    return copy;
  }
  uint64_t rip() { return state().rip; }
  /// Nothing if it takes too long.
  std::optional<Debugger::Stop> next_stop() {
    for (int i = 0; i < 3000 && !told_.load(); ++i) std::this_thread::sleep_for(10ms);
    told_.store(false);
    return debugger_->take_stop();
  }

  /// xor eax, eax; 1: inc eax; jmp 1b
  const FlatKernel kernel_{0x31, 0xc0, 0x40, 0xeb, 0xfd};
  static constexpr uint64_t kInc = kEntry + 2, kJump = kEntry + 3;
  std::unique_ptr<Machine> machine_;
  std::optional<Debugger> debugger_;
  std::atomic<bool> told_{false};
  std::thread thread_;
  Ending ending_{};
};

TEST_F(DebuggerTest, HasTheMachineStandBeforeItsFirstInstruction) {
  make(Debugger::Start::kStands);
  EXPECT_EQ(debugger_->processors(), 2u);
  EXPECT_EQ(rip(), kEntry);
  EXPECT_EQ(state(1).activity, cpu::Activity::kWaitForSipi);
  EXPECT_TRUE(machine_->paused());
  machine_->resume();
  EXPECT_EQ(rip(), kEntry) << "whoever else lets it go on does not";
}

TEST_F(DebuggerTest, StepsOneProcessorByOneInstruction) {
  make(Debugger::Start::kStands);
  for (const uint64_t expected : {kInc, kJump, kInc, kJump}) {
    debugger_->go_on({Order::kStep, Order::kStand});
    const auto stop = next_stop();
    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->why, Why::kStepped);
    EXPECT_EQ(stop->processor, 0u);
    EXPECT_EQ(rip(), expected);
  }
  EXPECT_EQ(state().gpr[x86::kRax], 2u);
}

TEST_F(DebuggerTest, StopsAtBreakpointsAndStepsFromThem) {
  make(Debugger::Start::kStands);
  ASSERT_TRUE(debugger_->add_breakpoint(kJump));
  debugger_->go_on({Order::kRun, Order::kRun});
  auto stop = next_stop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->why, Why::kBreakpoint);
  EXPECT_EQ(rip(), kJump);
  EXPECT_EQ(debugger_->take_stop(), std::nullopt) << "it is told once";
  debugger_->go_on({Order::kStep, Order::kStand});
  stop = next_stop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(rip(), kInc) << "the one where it stands is no obstacle";
  debugger_->go_on({Order::kRun, Order::kRun});
  ASSERT_TRUE(next_stop());
  EXPECT_EQ(state().gpr[x86::kRax], 2u);
}

TEST_F(DebuggerTest, ReadsAndWritesMemoryThatIsThere) {
  make(Debugger::Start::kStands);
  EXPECT_EQ(debugger_->read(0, kEntry, 3), (std::vector<uint8_t>{0x31, 0xc0, 0x40}));
  EXPECT_EQ(debugger_->read(0, (16 << 20) - 2, 4).size(), 2u);
  EXPECT_TRUE(debugger_->read(0, 0xd0000000, 4).empty());
  const std::vector<uint8_t> decrement = {0x48};
  EXPECT_TRUE(debugger_->write(0, kInc, decrement));
  EXPECT_FALSE(debugger_->write(0, (16 << 20) - 1, std::vector<uint8_t>(2)));
  EXPECT_EQ(debugger_->read(0, (16 << 20) - 1, 1), std::vector<uint8_t>{0}) << "all or none";
  ASSERT_TRUE(debugger_->add_breakpoint(kJump));
  debugger_->go_on({Order::kRun, Order::kRun});
  ASSERT_TRUE(next_stop());
  EXPECT_EQ(state().gpr[x86::kRax], 0xffffffffu);
}

TEST_F(DebuggerTest, HoldsAndLetsGoAsOftenAsOneLikes) {
  make(Debugger::Start::kRuns);
  uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    debugger_->hold();
    const uint64_t now = state().gpr[x86::kRax];
    EXPECT_GE(now, last);
    EXPECT_EQ(state().gpr[x86::kRax], now) << "it stands";
    last = now;
    debugger_->go_on({Order::kRun, Order::kRun});
  }
  EXPECT_FALSE(machine_->paused());
}

TEST_F(DebuggerTest, LeavesAPauseOfTheUsersAlone) {
  make(Debugger::Start::kRuns);
  machine_->pause();
  debugger_->hold();
  debugger_->go_on({Order::kRun, Order::kRun});
  EXPECT_TRUE(machine_->paused());
  const uint64_t counted = state().gpr[x86::kRax];
  EXPECT_EQ(state().gpr[x86::kRax], counted);
  machine_->resume();
  EXPECT_FALSE(machine_->paused());
}

TEST_F(DebuggerTest, LeavesNothingBehind) {
  make(Debugger::Start::kStands);
  ASSERT_TRUE(debugger_->add_breakpoint(kJump));
  debugger_->go_on({Order::kRun, Order::kStand});
  ASSERT_TRUE(next_stop());
  debugger_.reset();
  EXPECT_FALSE(machine_->paused());
}

TEST_F(DebuggerTest, FindsThatTheMachineHasEnded) {
  make(Debugger::Start::kStands);
  machine_->stop();
  thread_.join();
  EXPECT_EQ(ending_.kind, Ending::Kind::kStopped);
  EXPECT_FALSE(debugger_->visit(0, [](const cpu::State&) {}));
  debugger_->hold();
  EXPECT_FALSE(debugger_->add_breakpoint(kJump));
}

}  // namespace
}  // namespace eidolon::machine
