#include "cpu/segmentation.h"

#include "cpu/transfer_tables.h"
#include "cpu/vendor_rules.h"

namespace eidolon::cpu {

namespace {

using mmu::Access;
using x86::kDs;
using x86::kFs;
using x86::kSs;

class Segmentation : public TablesTest {};

TEST_F(Segmentation, LimitsHoldForWholeAccesses) {
  protected_tables();
  state.segment[kDs].limit = 0xfff;
  EXPECT_EQ(*linear_address(*cpu, kDs, 0xffc, 4, Access::kRead), 0xffcu);
  EXPECT_EQ(fault_of(linear_address(*cpu, kDs, 0xffd, 4, Access::kRead)), "13(0x0)");
  state.segment[kSs].limit = 0xfff;
  EXPECT_EQ(fault_of(linear_address(*cpu, kSs, 0x1000, 1, Access::kRead)), "12(0x0)");
}

TEST_F(Segmentation, ExpandDownIsValidAboveItsLimit) {
  protected_tables();
  state.segment[kDs].attributes |= x86::kAttrExpandDown;
  state.segment[kDs].limit = 0xfff;
  EXPECT_TRUE(linear_address(*cpu, kDs, 0x1000, 4, Access::kRead));
  EXPECT_FALSE(linear_address(*cpu, kDs, 0xfff, 1, Access::kRead));
  EXPECT_TRUE(linear_address(*cpu, kDs, 0xfffffffc, 4, Access::kRead));
  state.segment[kDs].attributes &= ~x86::kAttrBig;
  EXPECT_TRUE(linear_address(*cpu, kDs, 0xfffe, 2, Access::kRead));
  EXPECT_FALSE(linear_address(*cpu, kDs, 0xffff, 2, Access::kRead));
}

TEST_F(Segmentation, TypesDecideReadAndWrite) {
  protected_tables();
  EXPECT_FALSE(linear_address(*cpu, x86::kCs, 0, 1, Access::kWrite));
  EXPECT_TRUE(linear_address(*cpu, x86::kCs, 0, 1, Access::kRead));
  state.segment[x86::kCs].attributes &= ~x86::kAttrReadable;
  EXPECT_FALSE(linear_address(*cpu, x86::kCs, 0, 1, Access::kRead));
  EXPECT_TRUE(linear_address(*cpu, x86::kCs, 0, 1, Access::kExecute));
  state.segment[kDs] = null_segment(0);
  EXPECT_FALSE(linear_address(*cpu, kDs, 0, 1, Access::kRead));
}

TEST_F(Segmentation, TheVendorDecidesWhatLiesBeyondAFlatSegment) {
  const SegmentRegister flat = {.selector = 0x10,
                                .attributes = x86::kAttrPresent | x86::kAttrCodeOrData | x86::kAttrWritable |
                                              x86::kAttrGranular | x86::kAttrBig,
                                .limit = 0xffffffff,
                                .base = 0};
  const SegmentCheck intel = {.ends_at_4g = kIntelRules.limit_ends_at_4g};
  const SegmentCheck amd = {.ends_at_4g = kAmdRules.limit_ends_at_4g};
  EXPECT_EQ(*linear_address(flat, 0xfffffffd, 4, Access::kRead, intel), 0xfffffffdu);
  EXPECT_EQ(fault_of(linear_address(flat, 0xfffffffd, 4, Access::kRead, amd)), "13(0x0)");
  EXPECT_EQ(*linear_address(flat, 0xfffffffc, 4, Access::kRead, amd), 0xfffffffcu);
}

TEST_F(Segmentation, BasesWrapAt4GiBAndCountForFsIn64BitModeOnly) {
  protected_tables();
  state.segment[kDs].base = 0xfffffff0;
  EXPECT_EQ(*linear_address(*cpu, kDs, 0x20, 4, Access::kRead), 0x10u);
  long_tables();
  state.segment[kDs].base = 0x5000;
  state.segment[kFs].base = 0x7000;
  EXPECT_EQ(*linear_address(*cpu, kDs, 0x20, 4, Access::kRead), 0x20u);
  EXPECT_EQ(*linear_address(*cpu, kFs, 0x20, 4, Access::kRead), 0x7020u);
  EXPECT_EQ(fault_of(linear_address(*cpu, kDs, 0x7fff'ffff'fffd, 4, Access::kRead)), "13(0x0)");
  EXPECT_EQ(fault_of(linear_address(*cpu, kSs, 0x8000'0000'0000, 4, Access::kRead)), "12(0x0)");
}

TEST_F(Segmentation, RealModeLoadsKeepTheLimitOfUnrealMode) {
  real_mode();
  state.segment[kDs].limit = 0xffffffff;
  ASSERT_TRUE(load_segment(*cpu, kDs, 0x1234));
  EXPECT_EQ(state.segment[kDs].base, 0x12340u);
  EXPECT_EQ(state.segment[kDs].limit, 0xffffffffu);
  virtual_8086();
  state.segment[kDs].limit = 0xffffffff;
  ASSERT_TRUE(load_segment(*cpu, kDs, 0x1234));
  EXPECT_EQ(state.segment[kDs].limit, 0xffffu);
  EXPECT_EQ(state.segment[kDs].dpl(), 3u);
}

TEST_F(Segmentation, LoadFillsTheHiddenPartAndSetsAccessed) {
  protected_tables();
  descriptor(kFree, kFlat | x86::kAttrBig, 0x12345678, 0x12);
  ASSERT_TRUE(load_segment(*cpu, kDs, kFree));
  EXPECT_EQ(state.segment[kDs].base, 0x12345678u);
  EXPECT_EQ(state.segment[kDs].limit, 0x12fffu);
  EXPECT_EQ(state.segment[kDs].attributes, kFlat | x86::kAttrBig | x86::kAttrAccessed);
  EXPECT_EQ(get<uint8_t>(kGdt + kFree + 5) & 1, 1);
}

TEST_F(Segmentation, LoadChecksTypePrivilegeAndPresence) {
  protected_tables(3);
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, kData0)), "13(0x10)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, 0x1000)), "13(0x1000)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, 4)), "13(0x4)");
  EXPECT_TRUE(load_segment(*cpu, kDs, kConforming0 | 3));
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, 3)), "13(0x0)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, kCode3)), "13(0x18)");
  EXPECT_TRUE(load_segment(*cpu, kSs, kData3));
  protected_tables(0);
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, kData0 | 3)), "13(0x10)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, kNotPresent)), "11(0x30)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, kReadOnly)), "13(0x50)");
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, kData3)), "13(0x20)");
  descriptor(kFree, kFlat & ~x86::kAttrPresent);
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, kFree)), "12(0x80)");
  EXPECT_EQ(selector(kSs), kData0);
}

TEST_F(Segmentation, NullSelectors) {
  protected_tables();
  ASSERT_TRUE(load_segment(*cpu, kDs, 2));
  EXPECT_FALSE(state.segment[kDs].usable());
  EXPECT_EQ(selector(kDs), 2);
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, 0)), "13(0x0)");
  long_tables();
  ASSERT_TRUE(load_segment(*cpu, kSs, 0));
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, 1)), "13(0x0)");
  long_tables(3);
  EXPECT_EQ(fault_of(load_segment(*cpu, kSs, 3)), "13(0x0)");
}

TEST_F(Segmentation, LdtrAndItsSegments) {
  protected_tables();
  descriptor(kFree, x86::kAttrPresent | x86::kLdt, kData, 0xf);
  ASSERT_TRUE(load_ldtr(*cpu, kFree));
  put<uint64_t>(kData + 8, get<uint64_t>(kGdt + kData0));
  EXPECT_TRUE(load_segment(*cpu, kDs, 0xc));
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, 0x14)), "13(0x14)");
  EXPECT_EQ(fault_of(load_ldtr(*cpu, kData0)), "13(0x10)");
  EXPECT_EQ(fault_of(load_ldtr(*cpu, 0xc)), "13(0xc)");
  ASSERT_TRUE(load_ldtr(*cpu, 0));
  EXPECT_EQ(fault_of(load_segment(*cpu, kDs, 0xc)), "13(0xc)");
}

TEST_F(Segmentation, TaskRegisterOf64BitModeHas16Bytes) {
  long_tables();
  descriptor(kFree, x86::kAttrPresent | x86::kTss32Available, 0x12345678, 0x67);
  put<uint64_t>(kGdt + kFree + 8, 0xffff8000);
  ASSERT_TRUE(load_tr(*cpu, kFree));
  EXPECT_EQ(state.tr.base, 0xffff800012345678u);
  EXPECT_EQ(get<uint8_t>(kGdt + kFree + 5) & 0xf, x86::kTss32Busy);
  EXPECT_EQ(fault_of(load_tr(*cpu, kFree)), "13(0x80)");  // busy now
  descriptor(kFree, x86::kAttrPresent | x86::kTss32Available, 0, 0x67);
  put<uint64_t>(kGdt + kFree + 8, 0x00800000);
  EXPECT_EQ(fault_of(load_tr(*cpu, kFree)), "13(0x80)");  // not canonical
  put<uint64_t>(kGdt + kFree + 8, 1ull << 40);
  EXPECT_EQ(fault_of(load_tr(*cpu, kFree)), "13(0x80)");  // type of the upper half
  state.gdtr.limit = kFree + 8;
  EXPECT_EQ(fault_of(load_tr(*cpu, kFree)), "13(0x80)");
}

TEST_F(Segmentation, PrivilegedLoads) {
  real_mode();
  EXPECT_EQ(vector_of(load_tr(*cpu, kFree)), x86::kInvalidOpcode);
  protected_tables(3);
  EXPECT_EQ(fault_of(load_ldtr(*cpu, 0)), "13(0x0)");
}

}  // namespace
}  // namespace eidolon::cpu
