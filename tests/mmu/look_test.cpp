// As walk_test.cpp, for who only looks.
#include "mmu/look.h"

#include "mmu/guest_tables.h"

namespace eidolon::mmu {
namespace {

class Look : public GuestTables {
 protected:
  auto at(uint64_t linear) { return look(*memory_, controls_, linear); }
};

TEST_F(Look, LeavesNoTraceAndAsksForNoRights) {
  map(kLinear, kData | kP | kXd);
  EXPECT_EQ(at(kLinear + 0xabc), kData + 0xabc);
  EXPECT_EQ(pte(), kData | kP | kXd) << "neither A nor D";
  EXPECT_EQ(get(kPml4, index_of(kLinear, 4)) & kA, 0u);
}

TEST_F(Look, FindsNothingWhereNothingIs) {
  map(kLinear, kData | kW);
  EXPECT_EQ(at(kLinear), std::nullopt) << "not present";
  EXPECT_EQ(at(kLinear - (uint64_t{1} << 39)), std::nullopt);
  EXPECT_EQ(at(0x800000000000), std::nullopt) << "not canonical";
  map(kLinear, kData | kP | uint64_t{1} << 51);
  EXPECT_EQ(at(kLinear), std::nullopt) << "reserved bit";
}

TEST_F(Look, KnowsLargePages) {
  map(kLinear, 0);
  put(kPd, index_of(kLinear, 2), uint64_t{0x12200000} | kP | kPs);
  EXPECT_EQ(at(kLinear + 5), 0x12200000 + (kLinear & 0x1fffff) + 5);
}

TEST_F(Look, KnowsTheOtherModes) {
  controls_ = {};
  EXPECT_EQ(at(0xfee00123), 0xfee00123u);
  EXPECT_EQ(at(0x100000000), std::nullopt);

  legacy_mode();
  put<uint32_t>(kPml4, 1, 0x00c00000 | kP | kPs);
  EXPECT_EQ(at(0x00412345), 0xc12345u);
  EXPECT_EQ(at(0x00812345), std::nullopt);

  pae_mode();
  controls_.pdpte[1] = kPd | kP;
  put(kPd, 2, uint64_t{kPt} | kP);
  put(kPt, 3, uint64_t{kData} | kP);
  EXPECT_EQ(at(0x40403004), kData + 4);
  EXPECT_EQ(at(0x80403004), std::nullopt);
}

}  // namespace
}  // namespace eidolon::mmu
