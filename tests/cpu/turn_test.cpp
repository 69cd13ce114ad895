// Whose turn it is with a processor, and what processors do to each other by it.
#include "cpu/turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cpu/cpu.h"

namespace eidolon::cpu {
namespace {

TEST(Turn, AVisitorNeedNotWaitForAProcessorThatSleeps) {
  EventFlags events;
  Turn turn(events);
  bool visited = false;
  turn.visit([&] { visited = true; });
  EXPECT_TRUE(visited);
  EXPECT_EQ(events.pending(), 0u);
}

TEST(Turn, AProcessorThatRunsIsAskedAndLetsVisitorsGoFirst) {
  EventFlags events;
  Turn turn(events);
  turn.take();
  std::atomic<bool> visited{false};
  std::thread visitor([&] { turn.visit([&] { visited = true; }); });
  while ((events.pending() & kEventTurn) == 0) std::this_thread::yield();
  EXPECT_FALSE(visited) << "it has not been let in";
  turn.yield();
  EXPECT_TRUE(visited);
  turn.give();
  visitor.join();
}

class PeersTest : public testing::Test {
 protected:
  static constexpr unsigned kCount = 3;

  PeersTest() {
    EXPECT_TRUE(memory->add_region(0, 0x10000, memory::RegionKind::kRam));
    for (unsigned number = 0; number < kCount; ++number) {
      cpus.push_back(std::make_unique<Cpu>(
          Surroundings{.memory = *memory, .ports = ports, .mmio = mmio, .model = model, .peers = &peers},
          number));
      cpus.back()->state.reset();
      peers.add(*cpus.back());
    }
  }
  /// A writable virtual TLB entry for the page at `linear`.
  void touch(Cpu& cpu, uint64_t linear) {
    EXPECT_TRUE(cpu.mmu.resolve(cpu.state.control, linear, mmu::Access::kWrite, mmu::View::kSupervisor));
    EXPECT_NE(entry(cpu, linear), nullptr);
  }
  static uint8_t* entry(Cpu& cpu, uint64_t linear) {
    return cpu.mmu.tlb().lookup(linear, 8, true, mmu::View::kSupervisor);
  }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(0x10000);
  memory::IoBus ports, mmio;
  CpuidModel model = *CpuidModel::create("host");
  Peers peers;
  std::vector<std::unique_ptr<Cpu>> cpus;
};

TEST_F(PeersTest, NobodyKeepsAWritableEntryOfAPageThatIsTranslated) {
  for (const auto& cpu : cpus) touch(*cpu, 0x3000);
  touch(*cpus[2], 0x4000);
  cpus[0]->turn.take();
  memory->mark_code(0x3000, 0);
  protect_code_page(*cpus[0], 0x3000);
  cpus[0]->turn.give();
  for (const auto& cpu : cpus) EXPECT_EQ(entry(*cpu, 0x3000), nullptr) << cpu->index;
  EXPECT_NE(entry(*cpus[2], 0x4000), nullptr) << "another page";
  EXPECT_EQ(memory->writers(0x3000), 0u);
}

TEST_F(PeersTest, AMapChangeReachesAll) {
  peers.map_changed();
  for (const auto& cpu : cpus) EXPECT_EQ(cpu->events.pending(), uint32_t{kEventMapChanged});
}

// Each processor runs, lets others in when asked, and now and then wants to be alone or to protect a page.
TEST_F(PeersTest, ProcessorsThatWantEachOtherDoNotBlock) {
  uint64_t counter = 0;  // guarded by being alone
  std::atomic<unsigned> running{kCount};
  const auto live = [&](Cpu& cpu) {
    cpu.turn.take();
    for (unsigned turn = 0; turn < 300; ++turn) {
      if (cpu.events.take(kEventTurn) != 0) cpu.turn.yield();
      if (turn % 2 == cpu.index % 2) {
        const Alone alone(cpu);
        ++counter;
      } else {
        const uint64_t page = 0x1000 * (turn % 8);
        (void)cpu.mmu.resolve(cpu.state.control, page, mmu::Access::kWrite, mmu::View::kSupervisor);
        memory->mark_code(page, cpu.index);
        protect_code_page(cpu, page);
        EXPECT_EQ(entry(cpu, page), nullptr);
        memory->clear_code(page, cpu.index);
      }
    }
    cpu.turn.give();
    --running;
  };
  std::vector<std::thread> threads;
  for (const auto& cpu : cpus) threads.emplace_back([&live, &cpu] { live(*cpu); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(running, 0u);
  EXPECT_EQ(counter, 150u * kCount);
}

}  // namespace
}  // namespace eidolon::cpu
