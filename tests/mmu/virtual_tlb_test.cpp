#include "mmu/virtual_tlb.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

namespace eidolon::mmu {

namespace {

constexpr View kViews[] = {View::kUser, View::kSupervisor, View::kSupervisorAc};

class Tlb : public ::testing::Test {
 protected:
  static constexpr uint64_t kLinear = 0xffff800000123000;
  uint8_t* lookup(uint64_t linear, bool write = false, View view = View::kUser, unsigned size = 1) {
    return tlb_->lookup(linear, size, write, view);
  }
  void insert(uint64_t linear, bool writable = true, bool global = false, uint64_t page_size = 4096) {
    tlb_->insert(linear, View::kUser, page_, 0x5000, {writable, global}, page_size);
  }
  std::unique_ptr<VirtualTlb> tlb_ = std::make_unique<VirtualTlb>();
  alignas(4096) uint8_t page_[4096];
};

TEST_F(Tlb, EmptySlotsNeverHit) {
  std::mt19937_64 random(1);
  for (unsigned slot = 0; slot < VirtualTlb::kEntries; slot += 13) {
    const uint64_t near = uint64_t{slot} << 12;
    const uint64_t any = (random() & ~uint64_t{0xffffffff}) | near;
    for (const View view : kViews)
      for (const uint64_t linear :
           {near, any, near | 0xfff, near ^ (uint64_t{1} << 63), near | 0xfffff00000000})
        for (const bool write : {false, true})
          ASSERT_EQ(lookup(linear, write, view), nullptr) << std::hex << linear;
  }
}

TEST_F(Tlb, HitsWithinThePageOnly) {
  insert(kLinear + 0x123);
  EXPECT_EQ(lookup(kLinear + 0xff8, true, View::kUser, 8), page_ + 0xff8);
  EXPECT_EQ(lookup(kLinear + 0xff9, true, View::kUser, 8), nullptr);
  EXPECT_EQ(lookup(kLinear, true, View::kUser, 4096), page_);
  EXPECT_EQ(lookup(kLinear - 1), nullptr);
  EXPECT_EQ(lookup(kLinear + 0x100000000), nullptr);  // same slot
}

TEST_F(Tlb, KeepsTheViewsApart) {
  for (const View view : kViews) {
    tlb_->flush_all();
    tlb_->insert(kLinear, view, page_, 0x5000, {.writable = true});
    for (const View other : kViews) {
      EXPECT_EQ(lookup(kLinear, true, other), other == view ? page_ : nullptr);
      EXPECT_EQ(lookup(kLinear, false, other), other == view ? page_ : nullptr);
    }
  }
}

TEST_F(Tlb, ASlotThatChangesFromGlobalToLocalIsFlushedAsLocal) {
  insert(kLinear, true, true);
  insert(kLinear + 0x100000000, true, false);  // same slot
  tlb_->flush_non_global();
  EXPECT_EQ(lookup(kLinear + 0x100000000), nullptr);
  insert(kLinear, true, false);
  insert(kLinear + 0x100000000, true, true);
  tlb_->flush_non_global();
  EXPECT_EQ(lookup(kLinear + 0x100000000), page_);
}

TEST_F(Tlb, SavedEntriesComeBack) {
  insert(kLinear, true, true);
  insert(kLinear + 0x1000, true, false);
  tlb_->insert(kLinear + 0x2000, View::kSupervisor, page_, 0x5000, {.writable = true});
  tlb_->insert(0x1000, View::kSupervisorAc, page_, 0x5000, {});
  VirtualTlb::Saved room[4];
  ASSERT_EQ(tlb_->save_non_global(room), 3u);
  EXPECT_EQ(lookup(kLinear + 0x1000), nullptr);
  EXPECT_EQ(lookup(0x1000, false, View::kSupervisorAc), nullptr);
  EXPECT_EQ(lookup(kLinear), page_);
  tlb_->restore(room[0], true);
  tlb_->restore(room[1], false);
  EXPECT_EQ(lookup(kLinear + 0x1000, true), page_);
  EXPECT_EQ(lookup(kLinear + 0x2000, false, View::kSupervisor), page_);
  EXPECT_EQ(lookup(kLinear + 0x2000, true, View::kSupervisor), nullptr);
  tlb_->flush_non_global();
  EXPECT_EQ(lookup(kLinear + 0x1000), nullptr);
}

TEST_F(Tlb, NoMoreIsSavedThanThereIsRoomFor) {
  for (unsigned i = 0; i < 10; ++i) insert(kLinear + i * 0x1000);
  VirtualTlb::Saved room[4];
  EXPECT_EQ(tlb_->save_non_global(room), 4u);
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(lookup(kLinear + i * 0x1000), nullptr);
}

TEST_F(Tlb, ReadOnlyEntriesMissWrites) {
  insert(kLinear, false);
  EXPECT_EQ(lookup(kLinear), page_);
  EXPECT_EQ(lookup(kLinear, true), nullptr);
}

TEST_F(Tlb, FlushNonGlobalKeepsGlobalEntries) {
  insert(kLinear, true, true);
  insert(kLinear + 0x1000, true, false);
  tlb_->flush_non_global();
  EXPECT_EQ(lookup(kLinear), page_);
  EXPECT_EQ(lookup(kLinear + 0x1000), nullptr);
}

TEST_F(Tlb, FlushAllDropsEverythingInEveryView) {
  for (const View view : kViews) tlb_->insert(kLinear, view, page_, 0x5000, {true, true});
  tlb_->flush_all();
  for (const View view : kViews) EXPECT_EQ(lookup(kLinear, false, view), nullptr);
}

TEST_F(Tlb, FlushPageDropsItInEveryViewGlobalOrNot) {
  for (const View view : kViews) tlb_->insert(kLinear, view, page_, 0x5000, {true, true});
  insert(kLinear + 0x1000);
  tlb_->flush_page(kLinear + 0x777);
  for (const View view : kViews) EXPECT_EQ(lookup(kLinear, false, view), nullptr);
  EXPECT_EQ(lookup(kLinear + 0x1000), page_);
}

TEST_F(Tlb, FlushPageDropsAllPiecesOfALargePage) {
  for (const uint64_t size : {2ull << 20, 4ull << 20, 1ull << 30}) {
    const uint64_t base = kLinear & ~(size - 1);
    insert(base, true, true, size);
    insert(base + size - 0x2000, true, true, size);
    insert(base + size, true, true, size);  // the next page
    insert(0x7fff00042000);                 // and an unrelated small one
    tlb_->flush_page(base + 0x1000);
    EXPECT_EQ(lookup(base), nullptr) << size;
    EXPECT_EQ(lookup(base + size - 0x2000), nullptr) << size;
    EXPECT_EQ(lookup(0x7fff00042000), page_) << size;
  }
}

TEST_F(Tlb, FlushPageLeavesLargePagesElsewhereAlone) {
  insert(kLinear, true, true, 1 << 30);
  insert(0xffffffff81000000, true, true, 2 << 20);
  tlb_->flush_page(0x7fff12345000);
  EXPECT_EQ(lookup(kLinear), page_);
  EXPECT_EQ(lookup(0xffffffff81000000), page_);
}

TEST_F(Tlb, ProtectPhysicalTakesWriteFromEveryAlias) {
  insert(kLinear);
  insert(0x1000);
  tlb_->insert(0x2000, View::kSupervisor, page_, 0x5000, {true, true}, 2 << 20);
  tlb_->insert(0x3000, View::kSupervisor, page_, 0x6000, {true, true});
  tlb_->protect_physical(0x5000);
  EXPECT_EQ(lookup(kLinear, true), nullptr);
  EXPECT_EQ(lookup(0x1000, true), nullptr);
  EXPECT_EQ(lookup(0x2000, true, View::kSupervisor), nullptr);
  EXPECT_EQ(lookup(kLinear), page_);
  EXPECT_EQ(lookup(0x2000, false, View::kSupervisor), page_);
  EXPECT_EQ(lookup(0x3000, true, View::kSupervisor), page_);
}

TEST_F(Tlb, ProtectPhysicalDoesNotTouchEmptySlots) {
  tlb_->protect_physical(0);
  insert(0x1000);
  tlb_->flush_all();
  tlb_->protect_physical(0);
  EXPECT_EQ(lookup(0x1000), nullptr);
  EXPECT_EQ(lookup(0, true), nullptr);
}

TEST_F(Tlb, ProtectPhysicalFindsMoreAliasesThanAreNoted) {
  for (const unsigned aliases : {3u, 4u, 5u, 40u})
    for (const bool again : {false, true}) {
      for (unsigned i = 0; i < aliases; ++i) insert(kLinear + i * 0x1000);
      tlb_->insert(0x1000, View::kSupervisor, page_, 0x6000, {.writable = true});
      tlb_->protect_physical(0x5000);
      for (unsigned i = 0; i < aliases; ++i) {
        EXPECT_EQ(lookup(kLinear + i * 0x1000, true), nullptr) << aliases << again;
        EXPECT_EQ(lookup(kLinear + i * 0x1000), page_);
      }
      EXPECT_EQ(lookup(0x1000, true, View::kSupervisor), page_);
    }
}

TEST_F(Tlb, ProtectPhysicalFindsWhatWasRestored) {
  insert(kLinear);
  VirtualTlb::Saved room[1];
  ASSERT_EQ(tlb_->save_non_global(room), 1u);
  for (unsigned i = 1; i < 10; ++i) insert(kLinear + i * 0x1000);
  tlb_->flush_all();
  tlb_->restore(room[0], true);
  EXPECT_EQ(lookup(kLinear, true), page_);
  tlb_->protect_physical(0x5000);
  EXPECT_EQ(lookup(kLinear, true), nullptr);
  EXPECT_EQ(lookup(kLinear), page_);
}

// Few linear and physical pages, so that slots change hands and pages have many entries, and enough of either
// to fill what the entries are found by.
TEST_F(Tlb, AfterProtectPhysicalNoEntryWritesThePage) {
  std::mt19937_64 random(3);
  std::map<std::pair<uint64_t, View>, uint64_t> writable;  // as the test sees it: to which page
  for (unsigned turn = 0; turn < 20000; ++turn) {
    const uint64_t linear = (random() % 64) << 12 | (random() % 3) << 40;
    const uint64_t physical = random() % 2 ? (random() % 16) << 12 : (random() % 100000) << 12;
    const View view = kViews[random() % 3];
    switch (random() % 8) {
      case 0:
        tlb_->protect_physical(physical);
        std::erase_if(writable, [&](const auto& entry) { return entry.second == physical; });
        break;
      case 1:
        tlb_->flush_page(linear);
        std::erase_if(writable, [&](const auto& entry) { return entry.first.first == linear; });
        break;
      default: {
        const bool may_write = random() % 3 != 0;
        tlb_->insert(linear, view, page_, physical, {.writable = may_write, .global = random() % 2 == 0});
        std::erase_if(writable, [&](const auto& entry) {
          return entry.first.second == view &&
                 VirtualTlb::slot(entry.first.first) == VirtualTlb::slot(linear);
        });
        if (may_write) writable[{linear, view}] = physical;
      }
    }
    if (turn % 16 != 0) continue;
    for (uint64_t page = 0; page < 64; ++page)
      for (uint64_t high = 0; high < 3; ++high)
        for (const View any : kViews) {
          const uint64_t at = page << 12 | high << 40;
          ASSERT_EQ(lookup(at, true, any) != nullptr, writable.contains({at, any})) << turn;
        }
  }
}

}  // namespace
}  // namespace eidolon::mmu
