// LAR, LSL, VERR and VERW over descriptors of every kind.
#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

class SegmentTests : public CpuTest {
 protected:
  /// Puts a descriptor of the type byte `type` (P, DPL, S and type) at selector 0x20.
  void descriptor(uint8_t type, uint32_t limit = 0x12345, unsigned flags = 0xc) {
    put<uint64_t>(kGdt + 0x20, uint64_t{limit & 0xffff} | uint64_t{type} << 40 |
                                   uint64_t{limit >> 16 & 0xf} << 48 | uint64_t{flags} << 52);
  }
  /// Executes `code` on selector EBX = `selector` and returns ZF.
  bool passes(const std::vector<int>& code, uint16_t selector = 0x20) {
    state.gpr[kRbx] = selector;
    EXPECT_TRUE(run(code));
    return (state.rflags & kFlagZf) != 0;
  }
  const std::vector<int> lar_ = {0x0f, 0x02, 0xc3}, lsl_ = {0x0f, 0x03, 0xc3},
                                   verr_ = {0x0f, 0x00, 0xe3}, verw_ = {0x0f, 0x00, 0xeb};
};

TEST_F(SegmentTests, DataSegment) {
  protected_mode();
  descriptor(0x92);
  EXPECT_TRUE(passes(lar_));
  EXPECT_EQ(state.gpr[kRax], 0x00c19200u);
  EXPECT_TRUE(passes(lsl_));
  EXPECT_EQ(state.gpr[kRax], 0x12345fffu);
  EXPECT_TRUE(passes(verr_));
  EXPECT_TRUE(passes(verw_));
  descriptor(0x90);
  EXPECT_TRUE(passes(verr_));
  EXPECT_FALSE(passes(verw_));
}

TEST_F(SegmentTests, CodeSegments) {
  protected_mode(3);
  descriptor(0x9a);  // DPL 0
  EXPECT_FALSE(passes(lar_));
  EXPECT_FALSE(passes(verr_));
  descriptor(0x9e);  // conforming
  EXPECT_TRUE(passes(lar_));
  EXPECT_TRUE(passes(verr_));
  EXPECT_FALSE(passes(verw_));
  descriptor(0xf8);  // DPL 3, execute only
  EXPECT_TRUE(passes(lar_));
  EXPECT_FALSE(passes(verr_));
}

TEST_F(SegmentTests, RplCounts) {
  protected_mode();
  descriptor(0xb2);  // DPL 1
  EXPECT_TRUE(passes(verr_, 0x21));
  EXPECT_FALSE(passes(verr_, 0x22));
}

TEST_F(SegmentTests, SystemDescriptors) {
  protected_mode();
  descriptor(0x85);  // task gate
  EXPECT_TRUE(passes(lar_));
  EXPECT_FALSE(passes(lsl_));
  descriptor(0x83);  // busy 16-bit TSS
  EXPECT_TRUE(passes(lar_));
  EXPECT_TRUE(passes(lsl_));
  descriptor(0x8e);  // interrupt gate
  EXPECT_FALSE(passes(lar_));
  EXPECT_FALSE(passes(verr_));
  long_mode();
  descriptor(0x83);
  EXPECT_FALSE(passes(lar_));
  descriptor(0x8b);
  EXPECT_TRUE(passes(lar_));
  EXPECT_TRUE(passes(lsl_));
}

TEST_F(SegmentTests, FailureLeavesTheDestination) {
  protected_mode();
  state.gpr[kRax] = 0x5555;
  state.rflags |= kFlagZf;
  EXPECT_FALSE(passes(lar_, 0));       // null
  EXPECT_FALSE(passes(lsl_, 0x1000));  // beyond the limit
  EXPECT_EQ(state.gpr[kRax], 0x5555u);
}

TEST_F(SegmentTests, A16BitResult) {
  protected_mode();
  descriptor(0x92);
  state.gpr[kRax] = 0xffffffff;
  EXPECT_TRUE(passes({0x66, 0x0f, 0x02, 0xc3}));
  EXPECT_EQ(state.gpr[kRax], 0xffff9200u);
}

TEST_F(SegmentTests, AMissingTableIsAPageFault) {
  long_mode();
  state.gdtr.base = uint64_t{1} << 31;
  state.gpr[kRbx] = 0x20;
  EXPECT_EQ(vector_of(run(lar_)), kPageFault);
}

}  // namespace

}  // namespace eidolon::cpu
