// The whole MMU against the reference walk: random 4-level tables, several address spaces under their PCIDs,
// and the invalidations that the architecture asks for after each change. What is remembered of earlier walks
// must never show, in results or in the tables.
#include <cstring>
#include <random>

#include "mmu/guest_tables.h"
#include "mmu/mmu.h"
#include "mmu/reference_walk.h"

namespace eidolon::mmu {

namespace {

class MmuRandom : public GuestTables, public ::testing::WithParamInterface<uint64_t> {
 protected:
  static constexpr unsigned kTables = 8;  ///< pages 0 to 7 are tables, of every level at once
  static constexpr uint64_t kTableBytes = kTables * x86::kPageSize;
  static constexpr unsigned kSpaces = 3;

  MmuRandom() : twin_(std::move(memory::GuestMemory::create(kRam + 0x10000).value())), random_(GetParam()) {
    EXPECT_TRUE(twin_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(twin_->add_region(kRomBase, 0x10000, memory::RegionKind::kRom));
    if (own_tables_) controls_.cr4 &= ~x86::kCr4Pge;
    controls_.cr4 |= x86::kCr4PcidE | x86::kCr4Smap | x86::kCr4Smep;
    controls_.cr3 = 0;
    for (unsigned i = 0; i < kTableBytes / 8; ++i) change(i);
  }

  bool chance(unsigned percent) { return random_() % 100 < percent; }

  void change(unsigned index) {
    uint64_t entry = random_() % kTables << 12;
    if (chance(97)) entry |= kP;
    if (chance(85)) entry |= kW;
    if (chance(70)) entry |= kU;
    if (chance(40)) entry |= kG;
    if (chance(10)) entry |= kXd;
    if (chance(20)) entry = (entry & ~uint64_t{0x3ffff000}) | kPs;  // a page of 1 GiB or 2 MiB
    put(0, index, entry);
    ASSERT_TRUE(twin_->write(index * 8, &entry, sizeof entry));
  }
  void enter_space(unsigned space, bool keep) {
    const auto from = static_cast<uint16_t>(controls_.cr3 & x86::kCr3PcidMask);
    controls_.cr3 = (own_tables_ ? space << 12 : 0) | (space + 1);
    mmu_->change_context(from, static_cast<uint16_t>(space + 1), keep);
  }
  /// Few enough addresses that they come again.
  uint64_t random_address() {
    uint64_t linear = 0;
    for (unsigned level = 0; level < 4; ++level) linear = linear << 9 | random_() % 3;
    return linear << 12 | (random_() & 0xfff);
  }
  void check(uint64_t linear) {
    const auto access = static_cast<Access>(random_() % 3);
    const auto view = static_cast<View>(random_() % 3);
    const auto got = mmu_->resolve(controls_, linear, access, view);
    const auto want = reference::walk(*twin_, controls_, linear, access, view);
    SCOPED_TRACE(::testing::Message() << std::hex << "linear " << linear << " cr3 " << controls_.cr3
                                      << " access " << int(access) << " view " << int(view));
    ASSERT_EQ(got.has_value(), want.mapped);
    if (got) {
      ++mapped_;
      ASSERT_EQ(got->physical, want.physical);
      ASSERT_EQ(got->page_size, want.page_size);
      ASSERT_EQ(got->global, want.global);
      if (access != Access::kExecute && got->host != nullptr) {
        ASSERT_EQ(mmu_->tlb().lookup(linear, 1, false, view), memory_->host(want.physical, 1));
        // D may have been set elsewhere since the translation was remembered without it: then a write asks.
        const bool storable = mmu_->tlb().lookup(linear, 1, true, view) != nullptr;
        ASSERT_LE(storable, want.writable && want.dirty);
        ASSERT_GE(storable, access == Access::kWrite);
      }
    } else {
      ASSERT_EQ(got.error().error, want.error);
    }
    ASSERT_EQ(std::memcmp(memory_->host(0, kTableBytes), twin_->host(0, kTableBytes), kTableBytes), 0);
  }

  std::unique_ptr<memory::GuestMemory> twin_;
  std::unique_ptr<Mmu> mmu_ = std::make_unique<Mmu>(*memory_);
  std::mt19937_64 random_;
  unsigned mapped_ = 0;
  /// Global pages have to be the same in all address spaces: so either there are none, or the tables are.
  const bool own_tables_ = GetParam() % 2 == 0;
};

TEST_P(MmuRandom, AgreesWithTheReference) {
  for (unsigned i = 0; i < 20000; ++i) {
    ASSERT_NO_FATAL_FAILURE(check(random_address()));
    if (chance(4)) enter_space(static_cast<unsigned>(random_() % kSpaces), chance(90));
    if (random_() % 400 == 0) {
      change(static_cast<unsigned>(random_() % (kTableBytes / 8)));
      mmu_->invalidate_all();
    }
    if (random_() % 400 == 0) {  // INVLPG makes the change certain for its own address
      const uint64_t linear = random_address();
      const uint64_t root = controls_.cr3 & ~x86::kPageMask;
      change(static_cast<unsigned>(root / 8 + index_of(linear, 4)));
      mmu_->invalidate_page(linear);
      ASSERT_NO_FATAL_FAILURE(check(linear));
      mmu_->invalidate_all();
    }
  }
  EXPECT_GT(mapped_, 2000u);
  EXPECT_GT(mmu_->counters().shortcuts, 500u);
  EXPECT_GT(mmu_->counters().context_returns, 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, MmuRandom, ::testing::Range<uint64_t>(1, 5));

}  // namespace
}  // namespace eidolon::mmu
