#include "paravirt/kvm/kvm.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/clock.h"
#include "cpu/msr.h"
#include "engine/events.h"

namespace eidolon::paravirt::kvm {
namespace {

class KvmTest : public testing::Test {
 protected:
  static constexpr uint64_t kRam = 0x10000, kAt = 0x4000;
  static constexpr uint32_t kKhz = 2'600'000;

  KvmTest() {
    EXPECT_TRUE(memory->add_region(0, kRam, memory::RegionKind::kRam));
    clock.advance(5'000'000'000);
    for (unsigned number = 0; number < 2; ++number) {
      cpu::Cpu& cpu = *cpus.emplace_back(std::make_unique<cpu::Cpu>(
          cpu::Surroundings{.memory = *memory, .ports = ports, .mmio = mmio, .model = model}, number));
      cpu.state.reset();
      cpu.state.control.cr0 |= x86::kCr0Pe;
      host.add(cpu, number * 4);
      kvms.push_back(std::make_unique<Kvm>(cpu, host, [this] { return stolen; }));
      cpu.paravirt = kvms.back().get();
    }
  }
  template <typename T>
  T at(uint64_t address) {
    T value;
    EXPECT_TRUE(memory->read(address, &value, sizeof value));
    return value;
  }
  uint64_t call(uint64_t number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0) {
    auto& gpr = cpus[0]->state.gpr;
    gpr[x86::kRax] = number;
    gpr[x86::kRbx] = a;
    gpr[x86::kRcx] = b;
    gpr[x86::kRdx] = c;
    gpr[x86::kRsi] = d;
    kvms[0]->hypercall();
    return gpr[x86::kRax];
  }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(kRam);
  memory::IoBus ports, mmio;
  cpu::CpuidModel model = *cpu::CpuidModel::create("host");
  ManualClock clock;
  interrupt::ApicBus bus;
  Host host{clock, bus, kKhz};
  uint64_t stolen = 0;
  std::vector<std::unique_ptr<cpu::Cpu>> cpus;
  std::vector<std::unique_ptr<Kvm>> kvms;
};

/// As the interface says, from a reading of the guest's TSC.
uint64_t time_at(const SystemTime& time, uint64_t tsc) {
  uint64_t delta = tsc - time.tsc_timestamp;
  delta = time.tsc_shift >= 0 ? delta << time.tsc_shift : delta >> -time.tsc_shift;
  return time.system_time +
         static_cast<uint64_t>(static_cast<unsigned __int128>(delta) * time.tsc_to_system_mul >> 32);
}

TEST_F(KvmTest, TheClockCountsNanosecondsAndIsOneOverAllProcessors) {
  cpus[1]->state.tsc_offset = 12345678;
  for (unsigned number = 0; number < 2; ++number)
    ASSERT_TRUE(cpu::write_msr(*cpus[number], kMsrSystemTime, (kAt + number * 64) | 1));
  const auto first = at<SystemTime>(kAt), second = at<SystemTime>(kAt + 64);
  EXPECT_EQ(first.version % 2, 0u);
  EXPECT_EQ(first.flags, SystemTime::kStable);
  const uint64_t ticks = first.tsc_timestamp + uint64_t{kKhz} * 1000;  // a second later
  EXPECT_NEAR(static_cast<double>(time_at(first, ticks)), 1e9, 10);
  EXPECT_EQ(time_at(first, ticks),
            time_at(second, ticks - cpus[0]->state.tsc_offset + cpus[1]->state.tsc_offset));
}

TEST_F(KvmTest, TheClockFollowsTheCounterThatIsSet) {
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrSystemTime, kAt | 1));
  const uint64_t before = at<SystemTime>(kAt).tsc_timestamp - cpus[0]->state.tsc_offset;
  ASSERT_TRUE(cpu::write_msr(*cpus[0], x86::kMsrTsc, 0));
  EXPECT_EQ(at<SystemTime>(kAt).tsc_timestamp - cpus[0]->state.tsc_offset, before);
}

TEST_F(KvmTest, AJumpOfTimeIsToldUntilTheGuestHasSeenIt) {
  for (unsigned number = 0; number < 2; ++number)
    ASSERT_TRUE(cpu::write_msr(*cpus[number], kMsrSystemTime, (kAt + number * 64) | 1));
  const auto flags = [this](unsigned number) { return at<SystemTime>(kAt + number * 64).flags; };
  host.note_jump();
  for (const auto& kvm : kvms) kvm->tsc_changed();
  EXPECT_EQ(flags(0), SystemTime::kStable | SystemTime::kStopped);
  EXPECT_EQ(flags(1), SystemTime::kStable | SystemTime::kStopped);
  kvms[0]->tsc_changed();
  EXPECT_EQ(flags(0), SystemTime::kStable | SystemTime::kStopped) << "it has not looked";
  auto seen = at<SystemTime>(kAt);
  seen.flags = SystemTime::kStable;
  ASSERT_TRUE(memory->write(kAt, &seen, sizeof seen));
  kvms[0]->tsc_changed();
  EXPECT_EQ(flags(0), SystemTime::kStable) << "once is enough";
}

TEST_F(KvmTest, WallClockIsTheTimeOfDayOfTheStart) {
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrWallClock, kAt));
  EXPECT_NEAR(at<WallClock>(kAt).seconds, static_cast<double>(time(nullptr) - 5), 2);
}

TEST_F(KvmTest, AddressesThatAreNoMemoryAreLeftAlone) {
  for (const uint64_t address : {kRam - 16, kRam, ~uint64_t{0} << 6, uint64_t{0xfee00000}}) {
    EXPECT_TRUE(cpu::write_msr(*cpus[0], kMsrSystemTime, address | 1));
    EXPECT_TRUE(cpu::write_msr(*cpus[0], kMsrWallClock, address));
    (void)cpu::write_msr(*cpus[0], kMsrStealTime, (address & ~uint64_t{63}) | 1);
    kvms[0]->sleeps();
    kvms[0]->wakes();
  }
  EXPECT_FALSE(cpu::write_msr(*cpus[0], kMsrStealTime, kAt | 2)) << "reserved bits";
}

TEST_F(KvmTest, StolenTimeIsToldNowAndThen) {
  stolen = 1000;
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrStealTime, kAt | 1));
  stolen = 4000;
  clock.advance(1'000'000'000);
  kvms[0]->sleeps();
  EXPECT_EQ(at<StealTime>(kAt).preempted, StealTime::kPreempted);
  kvms[0]->wakes();
  EXPECT_EQ(at<StealTime>(kAt).preempted, 0);
  EXPECT_EQ(at<StealTime>(kAt).steal, 3000u) << "since the guest asked";
  EXPECT_EQ(at<StealTime>(kAt).version % 2, 0u);
}

TEST_F(KvmTest, WhoSleepsForgetsItsTranslationsWhenAnotherAsks) {
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrStealTime, kAt | 1));
  const uint64_t before = cpus[0]->mmu.counters().full_flushes;
  kvms[0]->sleeps();
  kvms[0]->wakes();
  EXPECT_EQ(cpus[0]->mmu.counters().full_flushes, before);
  kvms[0]->sleeps();
  const uint8_t asked = StealTime::kPreempted | StealTime::kFlushTlb;
  ASSERT_TRUE(memory->write(kAt + offsetof(StealTime, preempted), &asked, 1));
  kvms[0]->wakes();
  EXPECT_EQ(cpus[0]->mmu.counters().full_flushes, before + 1);
}

TEST_F(KvmTest, AKickEndsTheNextHaltToo) {
  EXPECT_EQ(call(kKickCpu, 0, 4), 0u);
  EXPECT_EQ(cpus[1]->events.pending(), uint32_t{cpu::kEventKick});
  EXPECT_EQ(engine::service_events(*cpus[1]), std::nullopt) << "it runs";
  cpus[1]->state.activity = cpu::Activity::kHalted;
  cpus[1]->state.rflags &= ~x86::kFlagIf;
  EXPECT_EQ(engine::service_events(*cpus[1]), std::nullopt);
  EXPECT_EQ(cpus[1]->state.activity, cpu::Activity::kRunning);
  call(kKickCpu, 0, 77);  // nobody
}

TEST_F(KvmTest, CallsFromUserModeAndUnknownOnesAreRefused) {
  EXPECT_EQ(call(99) & 0xffffffff, kNoSuchCall & 0xffffffff);
  cpus[0]->state.segment[x86::kSs].attributes |= 3u << x86::kAttrDplShift;
  EXPECT_EQ(call(kKickCpu, 0, 4) & 0xffffffff, kNotPermitted & 0xffffffff);
  EXPECT_EQ(cpus[1]->events.pending(), 0u);
}

TEST_F(KvmTest, IpisGoToAllInTheMap) {
  EXPECT_EQ(call(kSendIpiCall, 0b101, 1, 0, 0x30), 3u);
  EXPECT_EQ(static_cast<int32_t>(call(kSendIpiCall, 1, 0, 0, 5u << 8)), -22) << "INIT";
}

TEST_F(KvmTest, IsShownBehindOurOwnName) {
  cpu::CpuidModel shown = model;
  show(shown);
  const auto leaf = shown.query(0x40000100, 0, 0, 1, 0);
  EXPECT_EQ(leaf.eax, 0x40000101u);
  EXPECT_EQ(leaf.ebx, 0x4b4d564bu);
  EXPECT_EQ(shown.query(0x40000101, 0, 0, 1, 0).eax, uint32_t{kFeatures});
  EXPECT_EQ(shown.query(0x40000000, 0, 0, 1, 0).ebx, model.query(0x40000000, 0, 0, 1, 0).ebx);
}

TEST_F(KvmTest, StateComesBack) {
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrSystemTime, kAt | 1));
  ASSERT_TRUE(cpu::write_msr(*cpus[0], kMsrStealTime, (kAt + 64) | 1));
  StateWriter writer;
  kvms[0]->save(writer);
  kvms[0]->reset();
  EXPECT_EQ(*cpu::read_msr(*cpus[0], kMsrSystemTime), 0u);
  StateReader reader(writer.bytes());
  kvms[0]->load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(*cpu::read_msr(*cpus[0], kMsrSystemTime), kAt | 1);
  EXPECT_EQ(*cpu::read_msr(*cpus[0], kMsrStealTime), (kAt + 64) | 1);
}

}  // namespace
}  // namespace eidolon::paravirt::kvm
