// The offset and segment of memory operands in each address size.
#include "base/bits.h"
#include <initializer_list>

#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

class Address : public ::testing::Test {
 protected:
  Address() {
    for (unsigned i = 0; i < x86::kGprCount; ++i) state.gpr[i] = 0x1111111111111111u * i;
    state.rip = 0x7fff00001000;
  }
  EffectiveAddress of(isa::CodeSize size, std::initializer_list<int> bytes) {
    const std::vector<uint8_t> code(bytes.begin(), bytes.end());
    isa::Instruction instruction;
    EXPECT_EQ(isa::Decoder().decode(size, code, instruction), isa::DecodeStatus::kOk);
    const ZydisDecodedOperand* memory = isa::memory_operand(instruction);
    EXPECT_NE(memory, nullptr);
    return effective_address(state, instruction, *memory);
  }
  State state;
};

using isa::CodeSize;

TEST_F(Address, SixteenBitSumsWrapAt64K) {
  const EffectiveAddress at = of(CodeSize::k16, {0x8b, 0x82, 0xff, 0x7f});  // mov ax, [bp + si + 0x7fff]
  EXPECT_EQ(at.segment, x86::kSs);
  EXPECT_EQ(at.offset, (0x5555 + 0x6666 + 0x7fff) & 0xffff);
}

TEST_F(Address, ThirtyTwoBitSumsWrapAt4G) {
  const EffectiveAddress at = of(CodeSize::k32, {0x8b, 0x44, 0xfe, 0x80});  // mov eax, [esi + edi*8 - 0x80]
  EXPECT_EQ(at.segment, x86::kDs);
  EXPECT_EQ(at.offset, static_cast<uint32_t>(0x66666666 + 0x77777777ull * 8 - 0x80));
}

TEST_F(Address, SixtyFourBitWithOverride) {
  const EffectiveAddress at =
      of(CodeSize::k64, {0x65, 0x4a, 0x8b, 0x44, 0xe4, 0x08});  // gs:[rsp + r12*8 + 8]
  EXPECT_EQ(at.segment, x86::kGs);
  EXPECT_EQ(at.offset, 0x4444444444444444u + 0xccccccccccccccccu * 8 + 8);
}

TEST_F(Address, RipRelativeCountsFromTheNextInstruction) {
  const EffectiveAddress at = of(CodeSize::k64, {0x48, 0x8b, 0x05, 0xf9, 0xff, 0xff, 0xff});
  EXPECT_EQ(at.offset, 0x7fff00001000u);
}

TEST_F(Address, AddressSizePrefixTruncates) {
  const EffectiveAddress at = of(CodeSize::k64, {0x67, 0x8b, 0x04, 0x08});  // mov eax, [eax + ecx]
  EXPECT_EQ(at.offset, 0x11111111u);
}

TEST_F(Address, AbsoluteOffset) {
  const EffectiveAddress at = of(CodeSize::k32, {0x2e, 0xa1, 0x78, 0x56, 0x34, 0xf2});  // mov eax, cs:[...]
  EXPECT_EQ(at.segment, x86::kCs);
  EXPECT_EQ(at.offset, 0xf2345678u);
}

}  // namespace

}  // namespace eidolon::cpu
