// Who gets a message: every form of destination and every delivery mode over several processors, and IPIs
// that they send each other at the same time.
#include "interrupt/apic_bus.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "interrupt/local_apic.h"
#include "interrupt/msi.h"
#include "x86/msr.h"

namespace eidolon::interrupt {
namespace {

constexpr uint32_t kLogical = 1u << 11, kToAll = 2u << 18, kToOthers = 3u << 18, kToSelf = 1u << 18;
constexpr uint32_t kLowest = 1u << 8, kNmi = 4u << 8, kInit = 5u << 8, kStartup = 6u << 8;
constexpr uint64_t kIcr = 0x300, kIcrHigh = 0x310, kTpr = 0x80, kEoi = 0xb0, kLdr = 0xd0, kDfr = 0xe0,
                   kSvr = 0xf0;
constexpr uint32_t kX2Icr = 0x830;

/// Processors with the given APIC IDs, all enabled.
class ApicBusTest : public testing::Test {
 protected:
  struct Processor {
    Processor(ApicBus& bus, TimerQueue& timers, uint32_t id) : apic(bus, timers, id, id == 0) {
      bus.connect(apic);
      apic.attach(events, {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
      write(kSvr, 0x1ff);
    }
    void write(uint64_t offset, uint32_t value) { apic.io_write(offset, 4, value); }
    void send(uint32_t destination, uint32_t low) {
      write(kIcrHigh, destination << 24);
      write(kIcr, low);
    }
    void send_x2(uint32_t destination, uint32_t low) {
      EXPECT_TRUE(apic.write_msr(kX2Icr, uint64_t{destination} << 32 | low).has_value());
    }
    void enter_x2() {
      EXPECT_TRUE(apic.write_msr(x86::kMsrApicBase, LocalApic::kAddress | 0xc00).has_value());
    }
    cpu::EventFlags events;
    LocalApic apic;
  };
  void add(std::initializer_list<uint32_t> ids) {
    for (const uint32_t id : ids) all.emplace_back(bus, timers, id);
  }
  /// The numbers of those that have got the vector since last asked.
  std::vector<size_t> got(uint8_t vector) {
    std::vector<size_t> who;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].apic.acknowledge() != vector) continue;
      finish(all[i]);
      who.push_back(i);
    }
    return who;
  }
  std::vector<size_t> with_event(uint32_t event) {
    std::vector<size_t> who;
    for (size_t i = 0; i < all.size(); ++i)
      if (all[i].events.take(event) != 0) who.push_back(i);
    return who;
  }
  static void finish(Processor& p) {
    if (!p.apic.write_msr(0x80b, 0)) p.write(kEoi, 0);
  }

  using Who = std::vector<size_t>;
  ManualClock clock;
  TimerQueue timers{clock};
  ApicBus bus;
  std::deque<Processor> all;
};

TEST_F(ApicBusTest, PhysicalDestinationsAreIds) {
  add({0, 1, 4, 5});
  all[0].send(4, 0x41);
  EXPECT_EQ(got(0x41), Who{2});
  all[3].send(0, 0x41);
  EXPECT_EQ(got(0x41), Who{0});
  all[0].send(2, 0x41);
  EXPECT_EQ(got(0x41), Who{}) << "nobody has the ID that was left out";
  all[0].send(200, 0x41);
  EXPECT_EQ(got(0x41), Who{});
  all[1].send(0xff, 0x41);
  EXPECT_EQ(got(0x41), (Who{0, 1, 2, 3}));
}

TEST_F(ApicBusTest, TheIdOfTheXApicStays) {
  add({3});
  all[0].write(0x20, 0x07000000);
  EXPECT_EQ(all[0].apic.io_read(0x20, 4), 0x03000000u);
}

TEST_F(ApicBusTest, ShorthandsNeedNoDestination) {
  add({0, 1, 2});
  all[1].send(9, 0x41 | kToSelf);
  EXPECT_EQ(got(0x41), Who{1});
  all[1].send(9, 0x41 | kToOthers);
  EXPECT_EQ(got(0x41), (Who{0, 2}));
  all[1].send(9, 0x41 | kToAll);
  EXPECT_EQ(got(0x41), (Who{0, 1, 2}));
  all[1].send(9, kNmi | kToOthers);
  EXPECT_EQ(with_event(cpu::kEventNmi), (Who{0, 2}));
  all[1].send(9, kInit | kToOthers);
  EXPECT_EQ(with_event(cpu::kEventInit), (Who{0, 2}));
  all[1].send(9, kStartup | 0x9f | kToOthers);
  EXPECT_EQ(with_event(cpu::kEventSipi), (Who{0, 2}));
  EXPECT_EQ(all[2].events.sipi_vector, 0x9f);
  all[1].send(9, kInit | 0x8000 | kToAll);
  EXPECT_EQ(with_event(cpu::kEventInit), Who{}) << "level de-assert";
}

TEST_F(ApicBusTest, FlatDestinationsAreSets) {
  add({0, 1, 2, 3});
  for (size_t i = 0; i < 3; ++i) all[i].write(kLdr, 1u << (24 + i));
  all[0].send(0x05, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{0, 2}));
  all[0].send(0xf8, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{}) << "the last one has no logical ID";
  all[0].send(0xff, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{0, 1, 2, 3})) << "everybody";
}

TEST_F(ApicBusTest, ClusteredDestinationsAreAClusterAndASet) {
  add({0, 1, 2, 3});
  for (size_t i = 0; i < 4; ++i) {
    all[i].write(kDfr, 0x0fffffff);
    all[i].write(kLdr, static_cast<uint32_t>(i / 2 << 4 | 1u << i % 2) << 24);
  }
  all[0].send(0x13, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{2, 3}));
  all[0].send(0x02, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{1});
  all[0].send(0xf1, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{0, 2})) << "of every cluster";
}

TEST_F(ApicBusTest, X2DestinationsAreWide) {
  add({0, 1, 16, 17, 35});
  for (Processor& p : all) p.enter_x2();
  EXPECT_EQ(all[4].apic.read_msr(0x80d), 0x20008u) << "made of the packed ID";
  all[0].send_x2(35, 0x41);
  EXPECT_EQ(got(0x41), Who{4});
  all[0].send_x2(0x10003, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{2, 3}));
  all[0].send_x2(0x00003, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{0, 1}));
  all[0].send_x2(0x2ffff, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{4});
  all[0].send_x2(0x7ffffff, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{}) << "beyond all clusters";
  all[0].send_x2(0xff, 0x41);
  EXPECT_EQ(got(0x41), Who{}) << "an ID like any other";
  all[0].send_x2(0xffffffff, 0x41);
  EXPECT_EQ(got(0x41), (Who{0, 1, 2, 3, 4}));
  all[0].send_x2(0xffffffff, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), (Who{0, 1, 2, 3, 4}));
  EXPECT_TRUE(all[3].apic.write_msr(0x83f, 0x41).has_value());
  EXPECT_EQ(got(0x41), Who{3});
}

TEST_F(ApicBusTest, EightBitSourcesReachX2Apics) {
  add({0, 1, 16});
  for (Processor& p : all) p.enter_x2();
  bus.deliver(*msi_message(0xfee10000, 0x41));
  EXPECT_EQ(got(0x41), Who{2});
  bus.deliver(*msi_message(0xfee03004, 0x41));
  EXPECT_EQ(got(0x41), (Who{0, 1})) << "logical: members of cluster 0";
  bus.deliver(*msi_message(0xfeeff000, 0x41));
  EXPECT_EQ(got(0x41), (Who{0, 1, 2}));
}

TEST_F(ApicBusTest, OfMixedModesEachAnswersToItsOwn) {
  add({0, 17});
  all[0].write(kLdr, 0x02000000);
  all[1].enter_x2();
  all[1].send_x2(0x10002, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{1}) << "bit 1 is no flat destination here";
  all[1].send_x2(0, 0x41);
  EXPECT_EQ(got(0x41), Who{0});
}

TEST_F(ApicBusTest, LowestPriorityFindsTheLeastBusy) {
  add({0, 1, 2, 3});
  for (size_t i = 0; i < 4; ++i) all[i].write(kLdr, 1u << (24 + i));
  for (size_t i = 0; i < 4; ++i) all[i].write(kTpr, i == 2 ? 0x10 : 0x20);
  all[0].send(0x0f, 0x41 | kLowest | kLogical);
  EXPECT_EQ(got(0x41), Who{2});
  all[0].send(0x0b, 0x41 | kLowest | kLogical);
  EXPECT_EQ(got(0x41).size(), 1u);
  all[2].send(0, 0x41 | kLowest | kToOthers);
  EXPECT_EQ(got(0x41).size(), 1u) << "one, and not the sender";
  all[2].write(kSvr, 0xff);
  all[0].send(0x0f, 0x41 | kLowest | kLogical);
  EXPECT_EQ(got(0x41).size(), 1u) << "not the one that is disabled";
}

TEST_F(ApicBusTest, EqualsOfLowestPriorityTakeTurns) {
  add({0, 1, 2, 3});
  std::array<unsigned, 4> count{};
  for (unsigned vector = 0x40; vector < 0x48; ++vector) {
    bus.deliver({.destination = kBroadcast,
                 .mode = DeliveryMode::kLowestPriority,
                 .vector = static_cast<uint8_t>(vector)});
    for (const size_t who : got(static_cast<uint8_t>(vector))) ++count[who];
  }
  EXPECT_EQ(count, (std::array<unsigned, 4>{2, 2, 2, 2}));
}

TEST_F(ApicBusTest, AnInitUndoesAnUnseenSipi) {
  add({0, 1});
  all[0].send(1, kStartup | 0x99);
  all[0].send(1, kInit);
  EXPECT_EQ(all[1].events.take(~0u), unsigned{cpu::kEventInit});
  all[0].send(1, kInit);
  all[0].send(1, kStartup | 0x98);
  EXPECT_EQ(all[1].events.take(~0u), unsigned{cpu::kEventInit} | cpu::kEventSipi);
  EXPECT_EQ(all[1].events.sipi_vector, 0x98);
}

TEST_F(ApicBusTest, WhoIsNotThereIsNotReached) {
  add({0, 1});
  all[1].apic.set_present(false);
  all[0].send(1, kNmi);
  all[0].send(0xff, 0x41);
  all[0].send(0, kStartup | 0x99 | kToOthers);
  EXPECT_EQ(all[1].events.take(~0u), 0u);
  EXPECT_EQ(got(0x41), Who{0});
  all[1].apic.set_present(true);
  all[0].send(1, 0x41);
  EXPECT_EQ(got(0x41), Who{1});
}

TEST_F(ApicBusTest, ADisabledApicIsNotReached) {
  add({0, 1});
  ASSERT_TRUE(all[1].apic.write_msr(x86::kMsrApicBase, LocalApic::kAddress).has_value());
  all[0].send(1, kNmi);
  EXPECT_EQ(all[1].events.take(~0u), 0u);
}

TEST_F(ApicBusTest, ALoadedApicIsFoundWhereItListened) {
  add({0, 1});
  all[1].write(kDfr, 0x0fffffff);
  all[1].write(kLdr, 0x21000000);
  StateWriter saved;
  all[1].apic.save(saved);
  all[1].apic.reset();
  StateReader reader(saved.bytes());
  all[1].apic.load(reader);
  all[0].send(0x21, 0x41 | kLogical);
  EXPECT_EQ(got(0x41), Who{1});
}

// Each sends to its neighbour by one mode after the other and waits for the answer, while it takes what comes
// in. None may get lost, and ThreadSanitizer must have nothing to say.
class Exchange : public ApicBusTest {
 protected:
  static constexpr unsigned kProcessors = 4;
  static constexpr unsigned kRounds = 200;
  static constexpr uint8_t kFirstVector = 0x50;

  void take_what_came(size_t me) {
    Processor& p = all[me];
    if (p.events.take(cpu::kEventNmi) != 0) ++nmis[me];
    if (p.events.take(cpu::kEventInterrupt) == 0) return;
    while (const auto vector = p.apic.acknowledge()) {
      if (*vector >= kFirstVector && *vector < kFirstVector + kProcessors)
        ++answers[static_cast<size_t>(*vector - kFirstVector)];
      finish(p);
    }
  }
  void send(size_t me, unsigned round) {
    Processor& p = all[me];
    const auto next = static_cast<uint32_t>((me + 1) % kProcessors);
    const uint32_t vector = kFirstVector + static_cast<uint32_t>(me);
    const bool x2 = (p.apic.read_msr(x86::kMsrApicBase).value_or(0) & x86::kApicBaseX2Apic) != 0;
    const auto send_it = [&](uint32_t destination, uint32_t low) {
      x2 ? p.send_x2(destination, low) : p.send(destination, low);
    };
    send_it(next, kNmi);
    send_it(0, 0xe0 | kToOthers);
    send_it(x2 ? kBroadcast : 0xff, 0xd0 | kLowest);
    switch (round % 3) {
      case 0:
        return send_it(next, vector);
      case 1:
        return send_it(1u << next, vector | kLogical);
      default:
        return send_it(1u << next, vector | kLogical | kLowest);
    }
  }
  void run(size_t me) {
    all[me].write(kLdr, 1u << (24 + me));
    ++ready;
    while (ready < kProcessors) std::this_thread::yield();
    for (unsigned round = 0; round < kRounds; ++round) {
      if (round == kRounds / 2) all[me].enter_x2();
      const unsigned before = answers[me];
      send(me, round);
      while (answers[me] == before) {
        take_what_came(me);
        std::this_thread::yield();
      }
    }
    ++finished;
    while (finished < kProcessors) take_what_came(me);
    take_what_came(me);
  }
  std::array<std::atomic<unsigned>, kProcessors> answers{}, nmis{};
  std::atomic<unsigned> ready{0}, finished{0};
};

TEST_F(Exchange, OfIpisInAllModesLosesNone) {
  add({0, 1, 2, 3});
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kProcessors; ++i) threads.emplace_back([this, i] { run(i); });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kProcessors; ++i) {
    EXPECT_EQ(answers[i], kRounds);
    EXPECT_GE(nmis[i], 1u);
  }
}

}  // namespace
}  // namespace eidolon::interrupt
