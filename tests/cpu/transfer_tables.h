// The fixture's processor with descriptor tables: flat segments of every kind, an IDT, stacks in the TSS.
#pragma once

#include <cstdint>

#include <fmt/format.h>

#include <initializer_list>
#include <string>

#include "cpu/fixture.h"

namespace eidolon::cpu {

class TablesTest : public CpuTest {
 protected:
  // Selectors of flat segments.
  static constexpr uint16_t kCode0 = 0x08, kData0 = 0x10, kCode3 = 0x1b, kData3 = 0x23;
  static constexpr uint16_t kConforming0 = 0x28, kNotPresent = 0x30, kCode16 = 0x38, kLong0 = 0x40;
  static constexpr uint16_t kLong3 = 0x4b, kReadOnly = 0x50, kSmallCode = 0x58, kData16 = 0x60;
  static constexpr uint16_t kFree = 0x80;  ///< for the test
  static constexpr uint64_t kIdt = 0x50000, kInnerStack = 0x30000, kIstStack = 0x34000;
  static constexpr uint64_t kHandler = 0x12340;

  static constexpr uint32_t kFlat =
      x86::kAttrPresent | x86::kAttrCodeOrData | x86::kAttrWritable | x86::kAttrGranular;
  static constexpr uint32_t kFlatCode = kFlat | x86::kAttrCode;
  static constexpr uint32_t kDpl3 = x86::kAttrDpl;

  void descriptor(uint16_t selector, uint32_t attributes, uint32_t base = 0, uint32_t limit = 0xfffff) {
    const uint64_t raw = (limit & 0xffff) | uint64_t{limit >> 16 & 0xf} << 48 |
                         uint64_t{base & 0xffffff} << 16 | uint64_t{base >> 24} << 56 |
                         uint64_t{attributes & 0xff} << 40 | uint64_t{attributes >> 12 & 0xf} << 52;
    put<uint64_t>(kGdt + (selector & 0xfff8), raw);
  }
  [[nodiscard]] static uint64_t gate_word(unsigned type, uint16_t selector, uint64_t offset, unsigned dpl,
                                          unsigned count_or_ist) {
    return (offset & 0xffff) | uint64_t{selector} << 16 | uint64_t{count_or_ist} << 32 |
           uint64_t{0x80 | dpl << 5 | type} << 40 | (offset >> 16 & 0xffff) << 48;
  }
  void idt_gate(unsigned vector, unsigned type, uint16_t selector, uint64_t offset, unsigned dpl = 0) {
    put<uint64_t>(kIdt + vector * 8, gate_word(type, selector, offset, dpl, 0));
  }
  void idt_gate64(unsigned vector, unsigned type, uint16_t selector, uint64_t offset, unsigned dpl = 0,
                  unsigned ist = 0) {
    put<uint64_t>(kIdt + vector * 16, gate_word(type, selector, offset, dpl, ist));
    put<uint64_t>(kIdt + vector * 16 + 8, offset >> 32);
  }

  void tables() {
    state.gdtr = {.base = kGdt, .limit = 0xfff};
    state.idtr = {.base = kIdt, .limit = 0xfff};
    descriptor(kCode0, kFlatCode | x86::kAttrBig);
    descriptor(kData0, kFlat | x86::kAttrBig);
    descriptor(kCode3, kFlatCode | x86::kAttrBig | kDpl3);
    descriptor(kData3, kFlat | x86::kAttrBig | kDpl3);
    descriptor(kConforming0, kFlatCode | x86::kAttrBig | x86::kAttrConforming);
    descriptor(kNotPresent, (kFlatCode | x86::kAttrBig) & ~x86::kAttrPresent);
    descriptor(kCode16, kFlatCode & ~x86::kAttrGranular, 0x10000, 0xffff);
    descriptor(kLong0, kFlatCode | x86::kAttrLong);
    descriptor(kLong3, kFlatCode | x86::kAttrLong | kDpl3);
    descriptor(kReadOnly, (kFlat | x86::kAttrBig) & ~x86::kAttrWritable);
    descriptor(kSmallCode, (kFlatCode | x86::kAttrBig) & ~x86::kAttrGranular, 0, 0xfff);
    descriptor(kData16, kFlat & ~x86::kAttrGranular, 0, 0xffff);
  }
  void protected_tables(unsigned cpl = 0) {
    protected_mode(cpl);
    select(cpl == 0 ? kCode0 : kCode3, cpl == 0 ? kData0 : kData3);
    tables();
    put<uint32_t>(kTss + 4, kInnerStack);
    put<uint32_t>(kTss + 8, kData0);
  }
  void v86_tables(unsigned iopl) {
    protected_tables();
    virtual_8086(iopl);
    tables();
  }
  void long_tables(unsigned cpl = 0) {
    long_mode(cpl);
    select(cpl == 0 ? kLong0 : kLong3, cpl == 0 ? kData0 : kData3);
    tables();
    put<uint64_t>(kTss + 4, kInnerStack);
    put<uint64_t>(kTss + 36, kIstStack);  // IST1
  }
  void select(uint16_t cs, uint16_t data) {
    for (SegmentRegister& s : state.segment) s.selector = data;
    state.segment[x86::kCs].selector = cs;
  }

  [[nodiscard]] uint16_t selector(x86::Segment s) const { return state.segment[s].selector; }
  [[nodiscard]] uint64_t rsp() const { return state.gpr[x86::kRsp]; }
  /// Slot `index` of `T` from the top of the stack (in SS).
  template <typename T>
  T stack(unsigned index) {
    const uint64_t base = state.long_code() ? 0 : state.segment[x86::kSs].base;
    return get<T>(base + rsp() + index * sizeof(T));
  }
  template <typename T>
  void push(std::initializer_list<uint64_t> values) {  // the first is pushed first
    const uint64_t base = state.long_code() ? 0 : state.segment[x86::kSs].base;
    for (uint64_t value : values) {
      state.gpr[x86::kRsp] -= sizeof(T);
      put<T>(base + rsp(), static_cast<T>(value));
    }
  }
};

/// A fault that was expected, as text that a failed comparison shows.
template <typename T>
std::string fault_of(const Outcome<T>& outcome) {
  if (outcome.has_value()) return "none";
  return fmt::format("{}({:#x})", outcome.error().vector, outcome.error().error);
}

}  // namespace eidolon::cpu
