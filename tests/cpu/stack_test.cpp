#include "cpu/stack.h"

#include "cpu/transfer_tables.h"

namespace eidolon::cpu {

namespace {

class StackTest : public TablesTest {};

TEST_F(StackTest, NothingMovesBeforeCommit) {
  protected_tables();
  Stack stack(*cpu);
  ASSERT_TRUE(stack.push(0x12345678, 4));
  ASSERT_TRUE(stack.push(0xabcd, 2));
  EXPECT_EQ(rsp(), kStackTop);
  EXPECT_EQ(*stack.pop(2), 0xabcdu);
  stack.commit();
  EXPECT_EQ(rsp(), kStackTop - 4);
  EXPECT_EQ(get<uint32_t>(rsp()), 0x12345678u);
}

TEST_F(StackTest, SixteenBitStackWrapsAndKeepsTheUpperHalf) {
  real_mode();
  state.gpr[x86::kRsp] = 0x55550000;
  Stack stack(*cpu);
  ASSERT_TRUE(stack.push(0x1234, 2));
  stack.commit();
  EXPECT_EQ(rsp(), 0x5555fffeu);
  EXPECT_EQ(get<uint16_t>(0xfffe), 0x1234);
}

TEST_F(StackTest, AnAccessAcrossTheTopOfASegmentFaults) {
  real_mode();
  state.gpr[x86::kRsp] = 1;
  Stack stack(*cpu);
  EXPECT_EQ(fault_of(stack.push(0, 2)), "12(0x0)");
  EXPECT_EQ(stack.pointer(), 1u);
}

TEST_F(StackTest, CompatibilityModeDropsTheUpperHalfOfRsp) {
  long_tables();
  state.segment[x86::kCs].attributes ^= x86::kAttrLong | x86::kAttrBig;
  state.gpr[x86::kRsp] = 0x1'0000'0000 | kStackTop;
  Stack stack(*cpu);
  ASSERT_TRUE(stack.push(1, 4));
  stack.commit();
  EXPECT_EQ(rsp(), kStackTop - 4);
}

}  // namespace
}  // namespace eidolon::cpu
