// The pitfalls of byte rewriting, one by one. rewrite_random_test.cpp covers the breadth.
#include "isa/rewrite.h"

#include <gtest/gtest.h>

#include "decoded.h"

namespace eidolon::isa {
namespace {

constexpr Bytes kRefused = {};

Bytes result(bool rewritten, const HostBytes& host) {
  return rewritten ? Bytes(host.bytes.begin(), host.bytes.begin() + host.size) : Bytes{};
}
Bytes plain(CodeSize size, const Bytes& guest) {
  HostBytes host;
  return result(rewrite_plain(decoded(size, guest), guest, host), host);
}
Bytes rip(CodeSize size, const Bytes& guest) {
  HostBytes host;
  return result(rewrite_rip_relative(decoded(size, guest), guest, host), host);
}
Bytes based(CodeSize size, const Bytes& guest, unsigned base) {
  HostBytes host;
  return result(rewrite_base(decoded(size, guest), guest, base, host), host);
}

TEST(Rewrite, APauseStaysOneOnEveryHost) {
  EXPECT_EQ(plain(CodeSize::k64, {0xf3, 0x90}), (Bytes{0xf3, 0x90}));
  EXPECT_EQ(plain(CodeSize::k64, {0xf3, 0x49, 0x90}), (Bytes{0xf3, 0x90}));  // xchg r8, rax on AMD's
}

TEST(Rewrite, RipRelativeKeepsTheImmediateAndTellsWhereTheDisplacementIs) {
  const Bytes guest = {0x81, 0x43, 0x10, 1, 2, 3, 4};  // add dword [rbx + 16], 0x04030201
  HostBytes host;
  ASSERT_TRUE(rewrite_rip_relative(decoded(CodeSize::k64, guest), guest, host));
  EXPECT_EQ(Bytes(host.span().begin(), host.span().end()), (Bytes{0x81, 0x05, 0, 0, 0, 0, 1, 2, 3, 4}));
  EXPECT_EQ(host.displacement_offset, 2);
}

TEST(Rewrite, EveryBaseRegisterHasItsEncoding) {
  const Bytes guest = {0x8b, 0x84, 0x8b, 1, 2, 3, 4};  // mov eax, [rbx + rcx * 4 + disp32]
  EXPECT_EQ(based(CodeSize::k64, guest, 0), (Bytes{0x8b, 0x00}));
  EXPECT_EQ(based(CodeSize::k64, guest, 4), (Bytes{0x8b, 0x04, 0x24}));
  EXPECT_EQ(based(CodeSize::k64, guest, 5), (Bytes{0x8b, 0x45, 0x00}));
  EXPECT_EQ(based(CodeSize::k64, guest, 7), (Bytes{0x8b, 0x07}));
  EXPECT_EQ(based(CodeSize::k64, guest, 8), (Bytes{0x41, 0x8b, 0x00}));
  EXPECT_EQ(based(CodeSize::k64, guest, 12), (Bytes{0x41, 0x8b, 0x04, 0x24}));
  EXPECT_EQ(based(CodeSize::k64, guest, 13), (Bytes{0x41, 0x8b, 0x45, 0x00}));
  EXPECT_EQ(based(CodeSize::k64, guest, 16), kRefused);
}

TEST(Rewrite, RexOfTheOldAddressDoesNotReachTheNew) {
  const Bytes guest = {0x4f, 0x8b, 0x3c, 0x3e};  // mov r15, [r14 + r15]
  EXPECT_EQ(based(CodeSize::k64, guest, 0), (Bytes{0x4c, 0x8b, 0x38}));
  EXPECT_EQ(based(CodeSize::k64, guest, 12), (Bytes{0x4d, 0x8b, 0x3c, 0x24}));
  EXPECT_EQ(rip(CodeSize::k64, guest), (Bytes{0x4c, 0x8b, 0x3d, 0, 0, 0, 0}));
}

TEST(Rewrite, EmptyRexStaysBecauseItNamesTheLowBytes) {
  const Bytes guest = {0x40, 0x88, 0x33};  // mov [rbx], sil
  EXPECT_EQ(based(CodeSize::k64, guest, 0), (Bytes{0x40, 0x88, 0x30}));
}

TEST(Rewrite, RexThatDoesNotCountIsDropped) {
  EXPECT_EQ(plain(CodeSize::k64, {0x48, 0x66, 0x01, 0xc8}), (Bytes{0x66, 0x01, 0xc8}));
}

TEST(Rewrite, HighByteRefusesAnExtendedBase) {
  const Bytes guest = {0x88, 0x23};  // mov [rbx], ah
  EXPECT_EQ(based(CodeSize::k64, guest, 9), kRefused);
  EXPECT_EQ(based(CodeSize::k64, guest, 7), (Bytes{0x88, 0x27}));
  EXPECT_EQ(based(CodeSize::k64, {0x88, 0x03}, 9), (Bytes{0x41, 0x88, 0x01}));  // al is free of it
  EXPECT_EQ(based(CodeSize::k64, {0x0f, 0xb6, 0x23}, 9), (Bytes{0x41, 0x0f, 0xb6, 0x21}));  // movzx esp, byte
  EXPECT_EQ(based(CodeSize::k64, {0x0f, 0xc0, 0x23}, 9), kRefused);                         // xadd [rbx], ah
}

TEST(Rewrite, PrefixesComeBeforeRex) {
  const Bytes guest = {0xf0, 0x66, 0x0f, 0xb1, 0x0b};  // lock cmpxchg [rbx], cx
  EXPECT_EQ(based(CodeSize::k64, guest, 8), (Bytes{0x66, 0xf0, 0x41, 0x0f, 0xb1, 0x08}));
}

TEST(Rewrite, MandatoryPrefixesStay) {
  EXPECT_EQ(based(CodeSize::k64, {0xf3, 0x0f, 0x10, 0x03}, 9),
            (Bytes{0xf3, 0x41, 0x0f, 0x10, 0x01}));                                               // movss
  EXPECT_EQ(based(CodeSize::k16, {0x66, 0x0f, 0x6f, 0x07}, 1), (Bytes{0x66, 0x0f, 0x6f, 0x01}));  // movdqa
  EXPECT_EQ(based(CodeSize::k16, {0x0f, 0x28, 0x07}, 1), (Bytes{0x0f, 0x28, 0x01}));              // movaps
  EXPECT_EQ(plain(CodeSize::k16, {0xf3, 0x90}), (Bytes{0xf3, 0x90}));                             // pause
}

TEST(Rewrite, ElisionHintsAreDropped) {
  EXPECT_EQ(based(CodeSize::k64, {0xf2, 0xf0, 0x01, 0x0b}, 0),
            (Bytes{0xf0, 0x01, 0x08}));                                         // xacquire lock add
  EXPECT_EQ(based(CodeSize::k64, {0xf3, 0x89, 0x0b}, 0), (Bytes{0x89, 0x08}));  // xrelease mov
}

TEST(Rewrite, SixteenBitCodeInvertsTheOperandSize) {
  EXPECT_EQ(plain(CodeSize::k16, {0x01, 0xc8}), (Bytes{0x66, 0x01, 0xc8}));
  EXPECT_EQ(plain(CodeSize::k16, {0x66, 0x01, 0xc8}), (Bytes{0x01, 0xc8}));
  EXPECT_EQ(plain(CodeSize::k16, {0xb8, 0x34, 0x12}), (Bytes{0x66, 0xb8, 0x34, 0x12}));
  EXPECT_EQ(plain(CodeSize::k16, {0x66, 0xb8, 1, 2, 3, 4}), (Bytes{0xb8, 1, 2, 3, 4}));
  EXPECT_EQ(plain(CodeSize::k16, {0x00, 0xc8}), (Bytes{0x00, 0xc8}));  // bytes have no operand size
  EXPECT_EQ(plain(CodeSize::k16, {0x98}), (Bytes{0x66, 0x98}));        // cbw
  EXPECT_EQ(plain(CodeSize::k16, {0x0f, 0xc7, 0xf0}), (Bytes{0x66, 0x0f, 0xc7, 0xf0}));  // rdrand ax
  EXPECT_EQ(plain(CodeSize::k16, {0x0f, 0x50, 0xc1}), (Bytes{0x0f, 0x50, 0xc1}));        // movmskps
  EXPECT_EQ(plain(CodeSize::k16, {0xf2, 0x0f, 0x38, 0xf1, 0xc1}),
            (Bytes{0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc1}));                             // crc32 eax, cx
  EXPECT_EQ(based(CodeSize::k16, {0x0f, 0xc7, 0x0f}, 1), (Bytes{0x0f, 0xc7, 0x09}));  // cmpxchg8b
}

TEST(Rewrite, SegmentAndAddressSizeGoWithTheOperand) {
  EXPECT_EQ(based(CodeSize::k16, {0x2e, 0x67, 0x8b, 0x04, 0x98}, 1), (Bytes{0x66, 0x8b, 0x01}));
  EXPECT_EQ(based(CodeSize::k64, {0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0}, 1),
            (Bytes{0x48, 0x8b, 0x01}));
  EXPECT_EQ(plain(CodeSize::k32, {0x3e, 0x67, 0x01, 0xc8}), (Bytes{0x01, 0xc8}));
}

TEST(Rewrite, OneByteIncAndDec) {
  EXPECT_EQ(plain(CodeSize::k32, {0x43}), (Bytes{0xff, 0xc3}));        // inc ebx
  EXPECT_EQ(plain(CodeSize::k32, {0x4f}), (Bytes{0xff, 0xcf}));        // dec edi
  EXPECT_EQ(plain(CodeSize::k16, {0x40}), (Bytes{0x66, 0xff, 0xc0}));  // inc ax
}

TEST(Rewrite, AliasOfTheImmediateGroup) {
  EXPECT_EQ(plain(CodeSize::k32, {0x82, 0xc0, 0x05}), (Bytes{0x80, 0xc0, 0x05}));
  EXPECT_EQ(based(CodeSize::k32, {0x82, 0x00, 0x05}, 2), (Bytes{0x80, 0x02, 0x05}));
}

TEST(Rewrite, AddressesInTheInstruction) {
  EXPECT_EQ(based(CodeSize::k32, {0xa0, 1, 2, 3, 4}, 3), (Bytes{0x8a, 0x03}));
  EXPECT_EQ(based(CodeSize::k32, {0xa3, 1, 2, 3, 4}, 3), (Bytes{0x89, 0x03}));
  EXPECT_EQ(based(CodeSize::k16, {0xa1, 1, 2}, 3), (Bytes{0x66, 0x8b, 0x03}));
  EXPECT_EQ(rip(CodeSize::k64, {0x48, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8}), (Bytes{0x48, 0x89, 0x05, 0, 0, 0, 0}));
  EXPECT_EQ(based(CodeSize::k64, {0x4f, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8}, 3),
            (Bytes{0x48, 0x8b, 0x03}));  // R, X, B idle
}

TEST(Rewrite, TwoByteVexGrowsForAnExtendedBase) {
  const Bytes guest = {0xc5, 0xf4, 0x58, 0x43, 0x20};  // vaddps ymm0, ymm1, [rbx + 32]
  EXPECT_EQ(based(CodeSize::k64, guest, 1), (Bytes{0xc5, 0xf4, 0x58, 0x01}));
  EXPECT_EQ(based(CodeSize::k64, guest, 9), (Bytes{0xc4, 0xc1, 0x74, 0x58, 0x01}));
  EXPECT_EQ(based(CodeSize::k64, {0xc5, 0x74, 0x58, 0x03}, 9),
            (Bytes{0xc4, 0x41, 0x74, 0x58, 0x01}));  // ymm8
}

TEST(Rewrite, VexBitsThatOlderModesIgnoreAreMadeHarmless) {
  EXPECT_EQ(plain(CodeSize::k32, {0xc4, 0xc2, 0x38, 0xf2, 0xc1}),
            (Bytes{0xc4, 0xe2, 0x78, 0xf2, 0xc1}));  // andn: B = 0 and vvvv bit 3 = 0
  EXPECT_EQ(plain(CodeSize::k32, {0xc4, 0xe2, 0xf8, 0xf2, 0xc1}),
            (Bytes{0xc4, 0xe2, 0x78, 0xf2, 0xc1}));  // andn: W
  EXPECT_EQ(plain(CodeSize::k32, {0xc4, 0xe2, 0xf1, 0x98, 0xc1}),
            (Bytes{0xc4, 0xe2, 0xf1, 0x98, 0xc1}));  // vfmadd132pd: W is part of the opcode
  EXPECT_EQ(plain(CodeSize::k32, {0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0xb0}),
            (Bytes{0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0x30}));  // vblendvps: register in the immediate
  EXPECT_EQ(plain(CodeSize::k64, {0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0xb0}),
            (Bytes{0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0xb0}));
}

TEST(Rewrite, EvexLosesItsScaledDisplacementAndKeepsItsMask) {
  const Bytes guest = {0x62, 0xb1, 0x74, 0xd9,
                       0x58, 0x44, 0x83, 0x04};  // vaddps zmm0{k1}{z}, zmm1, [rbx+r16..]{1to16}
  EXPECT_EQ(based(CodeSize::k64, guest, 1), (Bytes{0x62, 0xf1, 0x74, 0xd9, 0x58, 0x01}));
  EXPECT_EQ(based(CodeSize::k64, guest, 13), (Bytes{0x62, 0xd1, 0x74, 0xd9, 0x58, 0x45, 0x00}));
}

TEST(Rewrite, NopIsOneByteAndNeverAnAccess) {
  EXPECT_EQ(plain(CodeSize::k64, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}), (Bytes{0x90}));
  EXPECT_EQ(plain(CodeSize::k64, {0xf3, 0x0f, 0x1e, 0xfa}), (Bytes{0x90}));
  EXPECT_EQ(based(CodeSize::k64, {0x0f, 0x1f, 0x00}, 1), kRefused);
}

TEST(Rewrite, BitStringsHaveTheirOwnEntry) {
  const Bytes guest = {0xf0, 0x48, 0x0f, 0xab, 0x03};  // lock bts [rbx], rax
  EXPECT_EQ(based(CodeSize::k64, guest, 1), kRefused);
  EXPECT_EQ(rip(CodeSize::k64, guest), kRefused);
  HostBytes host;
  ASSERT_TRUE(rewrite_bit_string(decoded(CodeSize::k64, guest), guest, 9, host));
  EXPECT_EQ(result(true, host), (Bytes{0xf0, 0x49, 0x0f, 0xab, 0x01}));
}

TEST(Rewrite, WhatSixtyFourBitModeLacksIsRefused) {
  const Bytes gone[] = {{0x27}, {0x2f}, {0x37}, {0x3f}, {0xd4, 0x0a}, {0xd5, 0x0a}, {0xd6}, {0x63, 0xc8}};
  for (const Bytes& guest : gone) EXPECT_EQ(plain(CodeSize::k32, guest), kRefused);
  EXPECT_EQ(rip(CodeSize::k32, {0x62, 0x03}), kRefused);  // bound
}

TEST(Rewrite, OtherClassesAreRefused) {
  EXPECT_EQ(plain(CodeSize::k64, {0x50}), kRefused);                              // push
  EXPECT_EQ(plain(CodeSize::k64, {0xa4}), kRefused);                              // movsb
  EXPECT_EQ(plain(CodeSize::k64, {0xff, 0xe0}), kRefused);                        // jmp rax
  EXPECT_EQ(rip(CodeSize::k64, {0xff, 0x20}), kRefused);                          // jmp [rax]
  EXPECT_EQ(rip(CodeSize::k64, {0x8d, 0x00}), kRefused);                          // lea
  EXPECT_EQ(rip(CodeSize::k64, {0xc4, 0xe2, 0x69, 0x92, 0x04, 0x08}), kRefused);  // vgatherdps
  EXPECT_EQ(plain(CodeSize::k64, {0x0f, 0xa2}), kRefused);                        // cpuid
  EXPECT_EQ(plain(CodeSize::k64, {0x8b, 0x00}), kRefused);                        // has a memory operand
  EXPECT_EQ(rip(CodeSize::k64, {0x8b, 0xc0}), kRefused);                          // has none
}

TEST(Rewrite, StateImagesKeepTheirFormat) {
  EXPECT_EQ(based(CodeSize::k16, {0xd9, 0x37}, 1), (Bytes{0x66, 0xd9, 0x31}));  // fnstenv, 14 bytes
  EXPECT_EQ(based(CodeSize::k16, {0x66, 0xdd, 0x37}, 1), (Bytes{0xdd, 0x31}));  // fnsave, 108 bytes
  EXPECT_EQ(based(CodeSize::k64, {0x48, 0x0f, 0xae, 0x03}, 1), (Bytes{0x48, 0x0f, 0xae, 0x01}));  // fxsave64
}

TEST(Rewrite, TruncatedBytesAreRefused) {
  const Bytes guest = {0x81, 0x43, 0x10, 1, 2, 3, 4};
  const Instruction instruction = decoded(CodeSize::k64, guest);
  HostBytes host;
  EXPECT_FALSE(rewrite_rip_relative(instruction, std::span(guest).first(5), host));
}

}  // namespace
}  // namespace eidolon::isa
