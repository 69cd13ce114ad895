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

}  // namespace
}  // namespace eidolon::mmu
