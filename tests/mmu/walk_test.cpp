// One case per rule of SDM volume 3, 4.3 to 4.8.
#include "mmu/walk.h"

#include <atomic>
#include <thread>

#include "mmu/guest_tables.h"
#include "x86/exceptions.h"

namespace eidolon::mmu {

namespace {

using x86::kPfFetch, x86::kPfPresent, x86::kPfReserved, x86::kPfUser, x86::kPfWrite;

class Walk : public GuestTables {
 protected:
  auto go(Access access, View view, uint64_t linear = kLinear) {
    return walk(*memory_, controls_, linear, access, view);
  }
  /// The error code, or ~0 if the access succeeds.
  uint32_t error(Access access, View view, uint64_t linear = kLinear) {
    const auto result = go(access, view, linear);
    return result ? ~0u : result.error().error;
  }
};
constexpr uint32_t kNone = ~0u;

TEST_F(Walk, IsIdentityWithoutPaging) {
  controls_ = {};
  const auto result = go(Access::kWrite, View::kSupervisor, 0x1'fee0'0123);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, 0xfee00123u);
  EXPECT_TRUE(result->writable && result->executable);
}

TEST_F(Walk, Maps4KiBInLongMode) {
  map(kLinear, kData | kP | kW);
  const auto result = go(Access::kRead, View::kSupervisor, kLinear + 0xabc);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, kData + 0xabc);
  EXPECT_EQ(result->page_size, 4096u);
}

TEST_F(Walk, Maps2MiBAnd1GiBInLongMode) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), uint64_t{0x12200000} | kP | kW | kPs | kG);
  auto result = go(Access::kRead, View::kSupervisor, kLinear + 5);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, 0x12200000 + (kLinear & 0x1fffff) + 5);
  EXPECT_EQ(result->page_size, 2u << 20);
  EXPECT_TRUE(result->global);

  put(kPdpt, index_of(kLinear, 3), 0x3c0000000 | kP | kW | kPs);
  result = go(Access::kRead, View::kSupervisor, kLinear + 5);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, 0x3c0000000 + (kLinear & 0x3fffffff) + 5);
  EXPECT_EQ(result->page_size, 1u << 30);
  EXPECT_FALSE(result->global);
}

TEST_F(Walk, Maps4MiBBeyond4GiBByPse36) {
  legacy_mode();
  put<uint32_t>(kPml4, 3, 0x00800000 | 0x5a << 13 | 1 << 12 | kP | kW | kPs);
  const auto result = go(Access::kRead, View::kSupervisor, 0xc00000 + 0x123456);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, 0x5a'0080'0000 + 0x123456u);
  EXPECT_EQ(result->page_size, 4u << 20);
}

TEST_F(Walk, IgnoresPsWithoutCr4Pse) {
  legacy_mode();
  controls_.cr4 &= ~x86::kCr4Pse;
  put<uint32_t>(kPml4, 3, kPt | kP | kW | kPs);
  put<uint32_t>(kPt, 0x123, kData | kP);
  const auto result = go(Access::kRead, View::kSupervisor, 0xc00000 + 0x123456);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, kData + 0x456);
}

TEST_F(Walk, ReservesBit21Of4MiBEntries) {
  legacy_mode();
  put<uint32_t>(kPml4, 3, 0x00a00000 | kP | kW | kPs);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor, 0xc00000), kPfPresent | kPfReserved);
}

TEST_F(Walk, UsesTheProcessorsPdptes) {
  pae_mode();
  controls_.pdpte[3] = kPd | kP;
  put(kPd, 1, kPt | kP | kW | kU);
  put(kPt, 2, kData | kP | kU);
  const auto result = go(Access::kRead, View::kUser, 0xc0202010);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, kData + 0x10);
  EXPECT_EQ(error(Access::kRead, View::kUser, 0x202010), kPfUser);
}

TEST_F(Walk, ReservesAllAboveTheAddressUnderPae) {
  pae_mode();
  controls_.pdpte[0] = kPd | kP;
  put(kPd, 0, kPt | kP | kW | kU);
  put(kPt, 0, kData | kP | 1ull << 52);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor, 0), kPfPresent | kPfReserved);
}

TEST_F(Walk, LeavesBits52To62ToSoftwareInLongMode) {
  map(kLinear, kData | kP | 0x7ffull << 52);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kNone);
  map(kLinear, kData | kP | 1ull << 40);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kPfPresent | kPfReserved);
}

TEST_F(Walk, ReservesPsInPml4) {
  map(kLinear, kData | kP);
  put(kPml4, index_of(kLinear, 4), kPdpt | kP | kPs);
  EXPECT_EQ(error(Access::kWrite, View::kUser), kPfPresent | kPfReserved | kPfWrite | kPfUser);
}

TEST_F(Walk, ReservesXdWithoutNxe) {
  map(kLinear, kData | kP | kXd);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kNone);
  controls_.efer &= ~x86::kEferNxe;
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kPfPresent | kPfReserved);
}

TEST_F(Walk, ReportsNotPresentBeforeRights) {
  map(kLinear, kData | kXd | 1ull << 50);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), 0u);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisorAc), kPfWrite);
  EXPECT_EQ(error(Access::kWrite, View::kUser), kPfWrite | kPfUser);
  EXPECT_EQ(error(Access::kExecute, View::kUser), kPfFetch | kPfUser);
}

TEST_F(Walk, KeepsUsersFromSupervisorPages) {
  map(kLinear, kData | kP | kW);
  EXPECT_EQ(error(Access::kRead, View::kUser), kPfPresent | kPfUser);
  EXPECT_EQ(error(Access::kWrite, View::kUser), kPfPresent | kPfUser | kPfWrite);
  EXPECT_EQ(error(Access::kExecute, View::kUser), kPfPresent | kPfUser | kPfFetch);
}

TEST_F(Walk, TakesRightsFromEveryLevel) {
  map(kLinear, kData | kP | kW | kU);
  put(kPdpt, index_of(kLinear, 3), kPd | kP | kU | kXd);
  EXPECT_EQ(error(Access::kRead, View::kUser), kNone);
  EXPECT_EQ(error(Access::kWrite, View::kUser), kPfPresent | kPfUser | kPfWrite);
  EXPECT_EQ(error(Access::kExecute, View::kUser), kPfPresent | kPfUser | kPfFetch);
}

TEST_F(Walk, LetsSupervisorsWriteReadOnlyPagesWithoutWp) {
  map(kLinear, kData | kP | kU);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisor), kPfPresent | kPfWrite);
  controls_.cr0 &= ~x86::kCr0Wp;
  EXPECT_EQ(error(Access::kWrite, View::kSupervisor), kNone);
  EXPECT_EQ(error(Access::kWrite, View::kUser), kPfPresent | kPfWrite | kPfUser);
}

TEST_F(Walk, SmepKeepsSupervisorsFromUserCode) {
  map(kLinear, kData | kP | kU);
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor), kNone);
  controls_.cr4 |= x86::kCr4Smep;
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor), kPfPresent | kPfFetch);
  EXPECT_EQ(error(Access::kExecute, View::kSupervisorAc), kPfPresent | kPfFetch);
  EXPECT_EQ(error(Access::kExecute, View::kUser), kNone);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kNone);
}

TEST_F(Walk, SmapKeepsSupervisorsFromUserDataUnlessAc) {
  map(kLinear, kData | kP | kU | kW);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisor), kNone);
  controls_.cr4 |= x86::kCr4Smap;
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kPfPresent);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisor), kPfPresent | kPfWrite);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisorAc), kNone);
  EXPECT_EQ(error(Access::kRead, View::kUser), kNone);
}

TEST_F(Walk, ReportsFetchesOnlyWithNxeOrSmep) {
  map(kLinear, 0);
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor), kPfFetch);
  controls_.efer &= ~x86::kEferNxe;
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor), 0u);
  controls_.cr4 |= x86::kCr4Smep;
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor), kPfFetch);
}

TEST_F(Walk, DoesNotCountNxeWithoutPae) {
  legacy_mode();
  controls_.efer = x86::kEferNxe;
  EXPECT_EQ(error(Access::kExecute, View::kSupervisor, 0), 0u);
}

TEST_F(Walk, ReadSetsAccessedOnEveryLevelAndNoDirty) {
  map(kLinear, kData | kP | kW);
  const auto result = go(Access::kRead, View::kSupervisor);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->writable);  // D is not set yet
  EXPECT_EQ(pte(), kData | kP | kW | kA);
  EXPECT_EQ(get(kPd, index_of(kLinear, 2)), kPt | kP | kW | kU | kA);
  EXPECT_EQ(get(kPdpt, index_of(kLinear, 3)), kPd | kP | kW | kU | kA);
  EXPECT_EQ(get(kPml4, index_of(kLinear, 4)), kPdpt | kP | kW | kU | kA);
}

TEST_F(Walk, WriteSetsDirtyInTheLeafOnly) {
  map(kLinear, kData | kP | kW);
  const auto result = go(Access::kWrite, View::kSupervisor);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->writable);
  EXPECT_EQ(pte(), kData | kP | kW | kA | kD);
  EXPECT_EQ(get(kPd, index_of(kLinear, 2)), kPt | kP | kW | kU | kA);
}

TEST_F(Walk, FaultLeavesTheTablesAlone) {
  map(kLinear, kData | kP);
  EXPECT_EQ(error(Access::kWrite, View::kSupervisor), kPfPresent | kPfWrite);
  EXPECT_EQ(pte(), kData | kP);
  EXPECT_EQ(get(kPml4, index_of(kLinear, 4)), kPdpt | kP | kW | kU);
}

TEST_F(Walk, TreatsTablesOutsideMemoryAsAllOnes) {
  map(kLinear, kData | kP);
  put(kPd, index_of(kLinear, 2), 0x3f'ffff'f000 | kP | kW);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kPfPresent | kPfReserved);
  controls_.cr3 = 0x3f'ffff'f000;
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kPfPresent | kPfReserved);
}

TEST_F(Walk, ReadsTablesInRomAndLeavesThemAlone) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), kRomBase | kP | kW);
  put(kRomBase, index_of(kLinear, 1), kData | kP | kW);
  const auto result = go(Access::kWrite, View::kSupervisor);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->writable);
  EXPECT_EQ(get(kRomBase, index_of(kLinear, 1)), kData | kP | kW);
}

TEST_F(Walk, IgnoresPcidAndNoFlushBitsOfCr3) {
  map(kLinear, kData | kP);
  controls_.cr3 = kPml4 | 0xfff;
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kNone);
}

class Written : public memory::CodeObserver {
 public:
  void code_written(memory::GuestPhysical address, uint64_t length) override {
    address_ = address;
    length_ = length;
  }
  uint64_t address_ = 0, length_ = 0;
};

TEST_F(Walk, TellsTheObserverWhenATableHoldsCode) {
  Written written;
  map(kLinear, kData | kP);
  memory_->set_code_observer(&written);
  memory_->mark_code(kPt);
  EXPECT_EQ(error(Access::kRead, View::kSupervisor), kNone);
  EXPECT_EQ(written.address_, kPt + 8 * index_of(kLinear, 1));
  EXPECT_EQ(written.length_, 8u);
}

TEST_F(Walk, LosesNoUpdateOfAnotherProcessor) {
  constexpr uint64_t kSoftware = 1 << 9;
  constexpr unsigned kRounds = 20000;
  map(kLinear, kData | kP | kW);
  auto* host = reinterpret_cast<uint64_t*>(memory_->host(kPt + 8 * index_of(kLinear, 1), 8));
  std::thread other([host] {
    for (unsigned i = 0; i < kRounds; ++i) {
      std::atomic_ref<uint64_t>(*host).fetch_add(kSoftware << 43);  // counts in bits 62:52
      std::atomic_ref<uint64_t>(*host).fetch_and(~(kA | kD));
    }
  });
  unsigned succeeded = 0;
  for (unsigned i = 0; i < kRounds; ++i) succeeded += go(Access::kWrite, View::kSupervisor).has_value();
  other.join();
  EXPECT_GT(succeeded, 0u);
  EXPECT_EQ(pte() >> 52 & 0x7ff, kRounds & 0x7ff);
}

TEST_F(Walk, LoadsPdptes) {
  pae_mode();
  controls_.cr3 = kPdpt | 0x20;
  put(kPdpt, 4, 0x5000 | kP | 0x18);
  put(kPdpt, 5, uint64_t{0xffffffffffffffff} & ~kP);  // not present: nothing is reserved
  put(kPdpt, 6, uint64_t{0});
  put(kPdpt, 7, 0xff'ffff'f000 | kP);
  ASSERT_TRUE(load_pdptes(*memory_, controls_));
  EXPECT_EQ(controls_.pdpte[0], 0x5000 | kP | 0x18);
  EXPECT_EQ(controls_.pdpte[3], 0xff'ffff'f000 | kP);
}

TEST_F(Walk, RefusesReservedBitsInPdptes) {
  pae_mode();
  controls_.cr3 = kPdpt;
  controls_.pdpte[0] = 0x7000 | kP;
  for (const uint64_t bad : {kW, kU, kA, kD, kPs, kG, uint64_t{1} << 40, kXd}) {
    put(kPdpt, 2, 0x5000 | kP | bad);
    EXPECT_FALSE(load_pdptes(*memory_, controls_)) << std::hex << bad;
  }
  EXPECT_EQ(controls_.pdpte[0], 0x7000 | kP);
  controls_.cr3 = 0xfffff000;
  EXPECT_FALSE(load_pdptes(*memory_, controls_));
}

}  // namespace
}  // namespace eidolon::mmu
