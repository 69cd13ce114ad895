// The walk against the reference, over random tables, controls and accesses: results and every byte of
// the tables afterwards.
#include <cstring>
#include <random>

#include "mmu/guest_tables.h"
#include "mmu/reference_walk.h"
#include "mmu/walk.h"

namespace eidolon::mmu {

namespace {

class WalkRandom : public GuestTables, public ::testing::WithParamInterface<uint64_t> {
 protected:
  static constexpr unsigned kTables = 8;  ///< pages 0 to 7 are tables, of every level at once
  static constexpr uint64_t kTableBytes = kTables * x86::kPageSize;

  WalkRandom() : twin_(std::move(memory::GuestMemory::create(kRam + 0x10000).value())), random_(GetParam()) {
    EXPECT_TRUE(twin_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(twin_->add_region(kRomBase, 0x10000, memory::RegionKind::kRom));  // all zero
  }

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  bool pick() { return chance(50); }

  uint64_t random_entry() {
    uint64_t entry = random_() % kTables << 12;
    if (chance(3)) entry = random_() & mask_address();  // not RAM, most likely
    if (chance(96)) entry |= kP;
    if (chance(80)) entry |= kW;
    if (chance(70)) entry |= kU;
    entry |= random_() & (kA | kD | kG | 0xe18);
    if (chance(20)) entry |= kPs;
    if ((entry & kPs) != 0 && chance(90)) entry &= ~uint64_t{0x3fffe000};
    if (chance(8)) entry |= kXd;
    if (chance(3)) entry |= uint64_t{1} << random_() % 63;
    return entry;
  }
  static uint64_t mask_address() { return 0x3ffffffff000; }

  void fill_tables() {
    for (unsigned i = 0; i < kTableBytes / 8; ++i) {
      uint64_t entry = random_entry();
      if ((controls_.cr4 & x86::kCr4Pae) == 0)  // two entries of 32 bits
        entry = (entry & 0xffffffff) | random_entry() << 32;
      put(0, i, entry);
    }
    ASSERT_TRUE(twin_->write(0, memory_->host(0, kTableBytes), kTableBytes));
  }

  void randomize_controls() {
    const auto mode = random_() % 3;
    mode == 0 ? legacy_mode() : mode == 1 ? pae_mode() : long_mode();
    if (pick()) controls_.cr0 &= ~x86::kCr0Wp;
    if (chance(30)) controls_.cr4 ^= x86::kCr4Pge;
    if (chance(30)) controls_.cr4 ^= x86::kCr4Pse;
    if (pick()) controls_.cr4 |= x86::kCr4Smep;
    if (pick()) controls_.cr4 |= x86::kCr4Smap;
    if (chance(15)) controls_.efer ^= x86::kEferNxe;
    controls_.cr3 = random_() % kTables << 12 | (random_() & 0xfff);
    for (uint64_t& pdpte : controls_.pdpte) pdpte = random_() % kTables << 12 | (chance(90) ? kP : 0);
  }

  std::unique_ptr<memory::GuestMemory> twin_;
  std::mt19937_64 random_;
};

TEST_P(WalkRandom, AgreesWithTheReference) {
  unsigned mapped = 0, faults = 0;
  for (unsigned round = 0; round < 60; ++round) {
    randomize_controls();
    fill_tables();
    for (unsigned i = 0; i < 150; ++i) {
      const uint64_t any = random_();
      const bool wide = controls_.long_mode();
      const uint64_t linear =
          wide ? static_cast<uint64_t>(static_cast<int64_t>(any << 16) >> 16) : any & 0xffffffff;
      const auto access = static_cast<Access>(random_() % 3);
      const auto view = static_cast<View>(random_() % 3);

      const auto got = walk(*memory_, controls_, linear, access, view);
      const auto want = reference::walk(*twin_, controls_, linear, access, view);

      SCOPED_TRACE(::testing::Message()
                   << std::hex << "linear " << linear << " cr0 " << controls_.cr0 << " cr4 " << controls_.cr4
                   << " efer " << controls_.efer << " access " << int(access) << " view " << int(view));
      ASSERT_EQ(got.has_value(), want.mapped);
      if (got) {
        ++mapped;
        ASSERT_EQ(got->physical, want.physical);
        ASSERT_EQ(got->page_size, want.page_size);
        ASSERT_EQ(got->writable, want.writable && want.dirty);
        ASSERT_EQ(got->executable, want.executable);
        ASSERT_EQ(got->global, want.global);
      } else {
        ++faults;
        ASSERT_EQ(got.error().error, want.error);
      }
      ASSERT_EQ(std::memcmp(memory_->host(0, kTableBytes), twin_->host(0, kTableBytes), kTableBytes), 0);
    }
  }
  EXPECT_GT(mapped, 1000u);
  EXPECT_GT(faults, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, WalkRandom, ::testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace eidolon::mmu
