#include "isa/host_faults.h"

#include <gtest/gtest.h>

#include "isa/decoded.h"

namespace eidolon::isa {
namespace {

bool may_fault(const Bytes& bytes) { return may_fault_by_itself(decoded(CodeSize::k64, bytes)); }

TEST(HostFaults, IntegerArithmeticAndMovesCannotFault) {
  EXPECT_FALSE(may_fault({0x48, 0x89, 0xd8}));           // mov rax, rbx
  EXPECT_FALSE(may_fault({0x48, 0x01, 0x03}));           // add [rbx], rax
  EXPECT_FALSE(may_fault({0x0f, 0xaf, 0xc3}));           // imul eax, ebx
  EXPECT_FALSE(may_fault({0x48, 0x8d, 0x44, 0x9b, 1}));  // lea rax, [rbx + rbx * 4 + 1]
}

TEST(HostFaults, WhatMayRaiseAnExceptionIsNamed) {
  EXPECT_TRUE(may_fault({0xf7, 0xf3}));                    // div ebx
  EXPECT_TRUE(may_fault({0xf0, 0x01, 0x03}));              // lock add [rbx], eax
  EXPECT_TRUE(may_fault({0x66, 0x0f, 0x6f, 0x03}));        // movdqa xmm0, [rbx]: misaligned
  EXPECT_TRUE(may_fault({0xf2, 0x0f, 0x58, 0xc1}));        // addsd xmm0, xmm1: unmasked exceptions
  EXPECT_TRUE(may_fault({0xd8, 0xc1}));                    // fadd st(1)
  EXPECT_TRUE(may_fault({0x0f, 0x38, 0xf0, 0x03}));        // movbe eax, [rbx]: the host may lack it
  EXPECT_TRUE(may_fault({0xf3, 0x0f, 0xb8, 0xc3}));        // popcnt eax, ebx: likewise
  EXPECT_TRUE(may_fault({0xc4, 0xe2, 0x60, 0xf2, 0x03}));  // andn eax, ebx, [rbx]: likewise
}

}  // namespace
}  // namespace eidolon::isa
