#include "mmu/mmu.h"

#include "mmu/guest_tables.h"

namespace eidolon::mmu {

namespace {

class MmuTest : public GuestTables {
 protected:
  auto resolve(Access access, View view = View::kSupervisor) {
    return mmu_->resolve(controls_, kLinear + 8, access, view);
  }
  bool hits(bool write, View view = View::kSupervisor) {
    return mmu_->tlb().lookup(kLinear, 4096, write, view) != nullptr;
  }
  std::unique_ptr<Mmu> mmu_ = std::make_unique<Mmu>(*memory_);
};

TEST_F(MmuTest, ReadOfCleanPageFillsForReadingOnly) {
  map(kLinear, kData | kP | kW);
  const auto result = resolve(Access::kRead);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, kData + 8);
  EXPECT_EQ(result->host, memory_->host(kData + 8, 1));
  EXPECT_TRUE(hits(false));
  EXPECT_FALSE(hits(true));  // the first write has to set D
}

TEST_F(MmuTest, WriteFillsForBoth) {
  map(kLinear, kData | kP | kW);
  ASSERT_TRUE(resolve(Access::kWrite));
  EXPECT_EQ(mmu_->tlb().lookup(kLinear + 5, 1, true, View::kSupervisor), memory_->host(kData + 5, 1));
  EXPECT_TRUE(hits(false));
  EXPECT_FALSE(hits(false, View::kUser));
}

TEST_F(MmuTest, FaultFillsNothing) {
  map(kLinear, kData | kP);
  const auto result = resolve(Access::kWrite);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error, 3u);
  EXPECT_FALSE(hits(false));
}

TEST_F(MmuTest, FetchFillsNothing) {
  map(kLinear, kData | kP | kW);
  const auto result = resolve(Access::kExecute);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->host, memory_->host(kData + 8, 1));
  EXPECT_FALSE(hits(false));
}

TEST_F(MmuTest, MmioHasNoHostAndNoEntry) {
  map(kLinear, 0xfee00000 | kP | kW);
  for (const Access access : {Access::kRead, Access::kWrite, Access::kExecute}) {
    const auto result = resolve(access);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->physical, 0xfee00008u);
    EXPECT_EQ(result->host, nullptr);
  }
  EXPECT_FALSE(hits(false));
}

TEST_F(MmuTest, RomIsReadThroughTheTlbAndNeverWritten) {
  map(kLinear, kRomBase | kP | kW);
  EXPECT_EQ(resolve(Access::kWrite)->host, nullptr);
  EXPECT_NE(resolve(Access::kRead)->host, nullptr);
  EXPECT_TRUE(hits(false));
  EXPECT_FALSE(hits(true));
}

TEST_F(MmuTest, PagesWithCodeAreNeverWritable) {
  map(kLinear, kData | kP | kW);
  memory_->mark_code(kData);
  EXPECT_EQ(resolve(Access::kWrite)->host, nullptr);
  EXPECT_TRUE(hits(false));
  EXPECT_FALSE(hits(true));
  memory_->clear_code(kData);
  EXPECT_NE(resolve(Access::kWrite)->host, nullptr);
  EXPECT_TRUE(hits(true));
}

TEST_F(MmuTest, InvalidationsAdvanceTheGenerationAndDropEntries) {
  map(kLinear, kData | kP | kW | kG);
  const uint64_t before = mmu_->generation();
  ASSERT_TRUE(resolve(Access::kRead));
  mmu_->invalidate_non_global();
  EXPECT_TRUE(hits(false));
  mmu_->invalidate_page(kLinear + 0xfff);
  EXPECT_FALSE(hits(false));
  ASSERT_TRUE(resolve(Access::kRead));
  mmu_->invalidate_all();
  EXPECT_FALSE(hits(false));
  EXPECT_EQ(mmu_->generation(), before + 3);
}

TEST_F(MmuTest, InvlpgDropsEveryPieceOfALargePage) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), uint64_t{0x200000} | kP | kW | kPs | kG);
  const uint64_t base = kLinear & ~uint64_t{0x1fffff};
  ASSERT_TRUE(mmu_->resolve(controls_, base, Access::kRead, View::kSupervisor));
  ASSERT_TRUE(mmu_->resolve(controls_, base + 0x1ff000, Access::kRead, View::kSupervisor));
  mmu_->invalidate_page(base + 0x1000);
  EXPECT_EQ(mmu_->tlb().lookup(base, 1, false, View::kSupervisor), nullptr);
  EXPECT_EQ(mmu_->tlb().lookup(base + 0x1ff000, 1, false, View::kSupervisor), nullptr);
}

TEST_F(MmuTest, TheSecondPageOfARegionTakesOnlyItsOwnEntry) {
  map(kLinear, kData | kP | kW | kU);
  map(kLinear + 0x1000, (kData + 0x1000) | kP | kW | kU);
  ASSERT_TRUE(resolve(Access::kRead));
  const uint64_t walks = mmu_->counters().walks;
  const auto result = mmu_->resolve(controls_, kLinear + 0x1004, Access::kWrite, View::kUser);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, kData + 0x1004);
  EXPECT_EQ(pte(kLinear + 0x1000) & (kA | kD), kA | kD);
  EXPECT_EQ(mmu_->counters().walks, walks);
}

TEST_F(MmuTest, RightsOfTheUpperLevelsHoldForWhatIsRemembered) {
  map(kLinear, kData | kP | kW | kU);
  put(kPd, index_of(kLinear, 2), kPt | kP | kU);  // read-only
  ASSERT_TRUE(resolve(Access::kRead, View::kUser));
  const auto result = resolve(Access::kWrite, View::kUser);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error, 7u);
}

TEST_F(MmuTest, RightsThatGrowNeedNoInvalidation) {
  map(kLinear, kData | kP);
  ASSERT_TRUE(resolve(Access::kRead));
  ASSERT_FALSE(resolve(Access::kWrite));
  map(kLinear, kData | kP | kW);
  EXPECT_TRUE(resolve(Access::kWrite));
  put(kPd, index_of(kLinear, 2), uint64_t{0});
  mmu_->invalidate_page(kLinear);
  ASSERT_FALSE(resolve(Access::kRead));
  put(kPd, index_of(kLinear, 2), kPt | kP | kW);
  EXPECT_TRUE(resolve(Access::kRead));
}

TEST_F(MmuTest, InvlpgOfAnyAddressForgetsRememberedTables) {
  map(kLinear, kData | kP | kW);
  ASSERT_TRUE(resolve(Access::kRead));
  put(kPd, index_of(kLinear, 2), uint64_t{0});
  mmu_->invalidate_page(0x12345000);  // SDM volume 3, 4.10.4.1: paging structures, regardless of the address
  EXPECT_FALSE(mmu_->resolve(controls_, kLinear + 0x1000, Access::kRead, View::kSupervisor));
}

TEST_F(MmuTest, LargePagesAreRememberedAndForgottenByInvlpg) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), uint64_t{0x200000} | kP | kW | kPs | kG | kD);
  const uint64_t base = kLinear & ~uint64_t{0x1fffff};
  ASSERT_TRUE(mmu_->resolve(controls_, base, Access::kRead, View::kSupervisor));
  put(kPd, index_of(kLinear, 2), uint64_t{0});
  mmu_->invalidate_page(0x12345000);
  mmu_->invalidate_non_global();
  const uint64_t walks = mmu_->counters().walks;
  const auto result = mmu_->resolve(controls_, base + 0x5678, Access::kWrite, View::kSupervisor);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->physical, 0x205678u);
  EXPECT_EQ(mmu_->counters().walks, walks);
  mmu_->invalidate_page(base + 0x1ff000);
  EXPECT_FALSE(mmu_->resolve(controls_, base, Access::kRead, View::kSupervisor));
}

TEST_F(MmuTest, TheFirstWriteToALargePageSetsDirty) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), uint64_t{0x200000} | kP | kW | kPs);
  ASSERT_TRUE(resolve(Access::kRead));
  EXPECT_EQ(get(kPd, index_of(kLinear, 2)) & kD, 0u);
  ASSERT_TRUE(resolve(Access::kWrite));
  EXPECT_EQ(get(kPd, index_of(kLinear, 2)) & kD, kD);
  EXPECT_TRUE(hits(true));
}

TEST_F(MmuTest, InvlpgForgetsAllOfAPageOfOneGigabyte) {
  map(kLinear, 0);
  put(kPdpt, index_of(kLinear, 3), uint64_t{0} | kP | kW | kPs | kD);
  const uint64_t base = kLinear & ~uint64_t{0x3fffffff};
  ASSERT_TRUE(mmu_->resolve(controls_, base, Access::kRead, View::kSupervisor));
  ASSERT_TRUE(mmu_->resolve(controls_, base + 0x200000, Access::kRead, View::kSupervisor));
  put(kPdpt, index_of(kLinear, 3), uint64_t{0});
  mmu_->invalidate_page(base + 0x3ffff000);
  EXPECT_FALSE(mmu_->resolve(controls_, base, Access::kRead, View::kSupervisor));
  EXPECT_FALSE(mmu_->resolve(controls_, base + 0x200000, Access::kRead, View::kSupervisor));
}

TEST_F(MmuTest, UnderAcUserPagesAreEnteredForThatViewOnly) {
  controls_.cr4 |= x86::kCr4Smap;
  map(kLinear, kData | kP | kW | kU);
  ASSERT_TRUE(resolve(Access::kWrite, View::kSupervisorAc));
  EXPECT_TRUE(hits(true, View::kSupervisorAc));
  EXPECT_FALSE(hits(false, View::kSupervisor));
  EXPECT_FALSE(resolve(Access::kRead, View::kSupervisor));
  EXPECT_TRUE(hits(true, View::kSupervisorAc));
}

class ContextTest : public MmuTest {
 protected:
  ContextTest() {
    map(kLinear, kData | kP | kW | kU);
    EXPECT_TRUE(resolve(Access::kWrite, View::kUser));
  }
};

TEST_F(ContextTest, AnAddressSpaceComesBackWithItsEntries) {
  mmu_->change_context(1, 2, false);
  EXPECT_FALSE(hits(false, View::kUser));
  mmu_->change_context(2, 1, true);
  EXPECT_TRUE(hits(true, View::kUser));
  mmu_->change_context(1, 1, true);
  EXPECT_TRUE(hits(true, View::kUser));
}

TEST_F(ContextTest, AFlushDropsThem) {
  mmu_->change_context(1, 2, false);
  mmu_->change_context(2, 1, false);
  EXPECT_FALSE(hits(false, View::kUser));
  mmu_->change_context(1, 2, true);
  mmu_->change_context(2, 1, true);
  EXPECT_FALSE(hits(false, View::kUser));
}

TEST_F(ContextTest, InvpcidDropsThoseOfOthers) {
  mmu_->change_context(1, 2, false);
  mmu_->invalidate_other_context(1);
  mmu_->change_context(2, 1, true);
  EXPECT_FALSE(hits(false, View::kUser));
  ASSERT_TRUE(resolve(Access::kWrite, View::kUser));
  mmu_->change_context(1, 2, true);
  mmu_->invalidate_other_contexts();
  mmu_->change_context(2, 1, true);
  EXPECT_FALSE(hits(false, View::kUser));
}

TEST_F(ContextTest, InvalidateAllDropsThoseOfAll) {
  mmu_->change_context(1, 2, false);
  mmu_->invalidate_all();
  mmu_->change_context(2, 1, true);
  EXPECT_FALSE(hits(false, View::kUser));
}

TEST_F(ContextTest, InvlpgConcernsTheCurrentOne) {
  mmu_->change_context(1, 2, false);
  mmu_->invalidate_page(kLinear);
  mmu_->change_context(2, 1, true);
  EXPECT_TRUE(hits(false, View::kUser));
}

TEST_F(ContextTest, PagesThatGotTranslationsComeBackProtected) {
  mmu_->change_context(1, 2, false);
  memory_->mark_code(kData);
  mmu_->change_context(2, 1, true);
  EXPECT_TRUE(hits(false, View::kUser));
  EXPECT_FALSE(hits(true, View::kUser));
}

TEST_F(ContextTest, RememberedTablesAreKeptApart) {
  mmu_->change_context(1, 2, false);
  put(kPd, index_of(kLinear, 2), uint64_t{0});  // as if CR3 had another root
  EXPECT_FALSE(mmu_->resolve(controls_, kLinear + 0x1000, Access::kRead, View::kUser));
}

TEST_F(ContextTest, MoreAddressSpacesThanAreKept) {
  for (uint16_t pcid = 1; pcid < 100; ++pcid) mmu_->change_context(pcid, pcid + 1, true);
  mmu_->change_context(100, 1, true);
  EXPECT_FALSE(hits(false, View::kUser));
}

TEST_F(MmuTest, WithALogOfWritesAPageIsMarkedBeforeItsFirstStore) {
  map(kLinear, kData | kP | kW | kA | kD);
  ASSERT_TRUE(resolve(Access::kWrite));
  memory_->log_writes(true);
  mmu_->protect_all();
  EXPECT_TRUE(hits(false));
  EXPECT_FALSE(hits(true)) << "the page is to be asked for again";
  ASSERT_TRUE(resolve(Access::kRead));
  EXPECT_FALSE(hits(true)) << "reading brings no right to write";
  std::vector<uint64_t> written;
  const auto note = [&written](uint64_t page) { written.push_back(page); };
  memory_->dirty_pages().take(note);
  EXPECT_TRUE(written.empty());
  ASSERT_TRUE(resolve(Access::kWrite));
  EXPECT_TRUE(hits(true));
  memory_->dirty_pages().take(note);
  EXPECT_EQ(written, std::vector<uint64_t>{kData >> x86::kPageShift});
}

}  // namespace
}  // namespace eidolon::mmu
