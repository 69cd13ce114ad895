// A processor in 64-bit mode at CPL 0 over flat segments and identity-mapped memory: where most tests of
// engines begin.
#pragma once

#include <gtest/gtest.h>

#include "cpu/state.h"
#include "memory/guest_memory.h"

namespace eidolon::cpu {

/// Maps [0, `mapped`), at most 4 GiB, by pages of 2 MiB, with tables from `tables` on: three pages, and one
/// more for each GiB after the first. CS is selector 8, all others are 16; there is no stack, GDT or IDT.
inline void enter_flat_long_mode(State& state, memory::GuestMemory& memory, uint64_t tables,
                                 uint64_t mapped) {
  using namespace x86;
  constexpr uint64_t kPresentWritableUser = 7, kLarge = 0x80;
  const auto put = [&memory](uint64_t at, uint64_t value) {
    EXPECT_TRUE(memory.write(at, &value, sizeof value));
  };
  const uint64_t pointers = tables + 0x1000, directories = tables + 0x2000;
  put(tables, pointers | kPresentWritableUser);
  for (uint64_t gib = 0; gib << 30 < mapped; ++gib)
    put(pointers + gib * 8, (directories + gib * 0x1000) | kPresentWritableUser);
  for (uint64_t page = 0; page < mapped >> 21; ++page)
    put(directories + page * 8, page << 21 | kLarge | kPresentWritableUser);

  state.reset();
  state.control = {.cr0 = kCr0Pe | kCr0Pg | kCr0Wp | kCr0Ne | kCr0Et,
                   .cr3 = tables,
                   .cr4 = kCr4Pae | kCr4OsFxsr | kCr4OsXmmExcpt,
                   .efer = kEferLme | kEferLma | kEferNxe | kEferSce,
                   .pdpte = {}};
  constexpr uint32_t kCommon = kAttrPresent | kAttrCodeOrData | kAttrAccessed | kAttrGranular;
  for (auto& segment : state.segment)
    segment = {
        .selector = 16, .attributes = kCommon | kAttrWritable | kAttrBig, .limit = 0xffffffff, .base = 0};
  state.segment[kCs] = {.selector = 8,
                        .attributes = kCommon | kAttrCode | kAttrReadable | kAttrLong,
                        .limit = 0xffffffff,
                        .base = 0};
  state.idtr = {.base = 0, .limit = 0};
}

}  // namespace eidolon::cpu
