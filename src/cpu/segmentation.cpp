// Addresses, descriptors, and loads of segment registers (SDM volume 3, 3.4, 5.3 to 5.6; the loads as
// MOV, LLDT and LTR of volume 2 have them).
#include "cpu/segmentation.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/vendor_rules.h"

namespace eidolon::cpu {

namespace {

using mmu::Access;
using x86::Descriptor;
using x86::Segment;

/// Whether [offset, offset + size) lies inside the limit (SDM volume 3, 5.3).
[[nodiscard]] bool within_limit(const SegmentRegister& segment, uint64_t offset, unsigned size,
                                bool ends_at_4g) {
  const uint64_t last = offset + size - 1;
  const bool expands_down =
      (segment.attributes & (x86::kAttrCodeOrData | x86::kAttrCode | x86::kAttrExpandDown)) ==
      (x86::kAttrCodeOrData | x86::kAttrExpandDown);
  if (expands_down) {
    const uint64_t top = (segment.attributes & x86::kAttrBig) != 0 ? mask_below(32) : mask_below(16);
    return offset > segment.limit && last <= top;
  }
  return last <= segment.limit || (segment.limit == mask_below(32) && !ends_at_4g);
}

[[nodiscard]] bool type_allows(const SegmentRegister& segment, Access access) {
  const bool code = (segment.attributes & x86::kAttrCode) != 0;
  const bool second_bit = (segment.attributes & x86::kAttrWritable) != 0;  // or readable
  switch (access) {
    case Access::kRead:
      return !code || second_bit;
    case Access::kWrite:
      return !code && second_bit;
    case Access::kExecute:
      return true;
  }
  return false;
}

[[nodiscard]] bool is_writable_data(const Descriptor& d) {
  return !d.is_system() && !d.is_code() && (d.type() & x86::kAttrWritable) != 0;
}

/// What MOV SS demands of a selector that is not null.
Outcome<> check_stack_segment(const State& state, uint16_t selector, const Descriptor& d) {
  const uint32_t error = selector & 0xfffcu;
  if (x86::selector_rpl(selector) != state.cpl() || !is_writable_data(d) || d.dpl() != state.cpl())
    return raise_gp(error);
  if (!d.present()) return raise(x86::kStackFault, error);
  return {};
}

/// What MOV to DS, ES, FS or GS demands.
Outcome<> check_data_segment(const State& state, uint16_t selector, const Descriptor& d) {
  const uint32_t error = selector & 0xfffcu;
  if (d.is_system() || (d.is_code() && (d.type() & x86::kAttrReadable) == 0)) return raise_gp(error);
  const bool conforming = d.is_code() && (d.type() & x86::kAttrConforming) != 0;
  if (!conforming && (x86::selector_rpl(selector) > d.dpl() || state.cpl() > d.dpl())) return raise_gp(error);
  if (!d.present()) return raise(x86::kSegmentNotPresent, error);
  return {};
}

/// SS may be null in 64-bit mode, but at CPL 3 (SDM volume 2, MOV).
Outcome<> load_null(State& state, Segment segment, uint16_t selector) {
  const unsigned cpl = state.cpl();
  if (segment != x86::kSs) {
    state.segment[segment] = null_segment(selector);
    return {};
  }
  if (!state.long_code() || cpl == 3 || x86::selector_rpl(selector) != cpl) return raise_gp();
  state.segment[segment] = null_segment(selector, cpl);
  return {};
}

/// What LLDT and LTR share: the descriptor must be in the GDT.
Outcome<SystemDescriptor> read_gdt_system_descriptor(Cpu& cpu, uint16_t selector) {
  if (x86::selector_in_ldt(selector)) return raise_gp(selector & 0xfffcu);
  const SystemDescriptor descriptor = EIDOLON_TRY(read_system_descriptor(cpu, selector));
  if (!descriptor.low.is_system()) return raise_gp(selector & 0xfffcu);
  if (cpu.state.long_mode() && !is_canonical(descriptor.base())) return raise_gp(selector & 0xfffcu);
  return descriptor;
}

Outcome<> check_privileged(const State& state) {
  if (state.real_or_v86()) return raise_ud();
  if (state.cpl() != 0) return raise_gp();
  return {};
}

}  // namespace

Outcome<uint64_t> linear_address(const SegmentRegister& segment, uint64_t offset, unsigned size,
                                 mmu::Access access, const SegmentCheck& check) {
  if (check.long_code) {
    const uint64_t linear = check.has_base ? segment.base + offset : offset;
    if (!is_canonical(linear) || !is_canonical(linear + size - 1)) return raise(check.vector, check.error);
    return linear;
  }
  if (!segment.usable() || (check.check_type && !type_allows(segment, access)) ||
      !within_limit(segment, offset, size, check.ends_at_4g))
    return raise(check.vector, check.error);
  return (segment.base + offset) & mask_below(32);
}

Outcome<uint64_t> linear_address(const Cpu& cpu, Segment segment, uint64_t offset, unsigned size,
                                 Access access) {
  const State& state = cpu.state;
  return linear_address(state.segment[segment], offset, size, access,
                        {.long_code = state.long_code(),
                         .has_base = segment == x86::kFs || segment == x86::kGs,
                         .check_type = state.protected_mode(),
                         .ends_at_4g = rules_of(cpu.model).limit_ends_at_4g,
                         .vector = segment == x86::kSs ? x86::kStackFault : x86::kGeneralProtection});
}

Outcome<uint64_t> descriptor_address(const Cpu& cpu, uint16_t selector, unsigned size, x86::Vector vector) {
  const State& state = cpu.state;
  const uint32_t offset = x86::selector_offset(selector);
  const bool local = x86::selector_in_ldt(selector);
  const uint32_t limit = local ? state.ldtr.limit : state.gdtr.limit;
  if ((local && !state.ldtr.usable()) || offset + size - 1 > limit) return raise(vector, selector & 0xfffcu);
  return (local ? state.ldtr.base : state.gdtr.base) + offset;
}

Outcome<Descriptor> read_descriptor(Cpu& cpu, uint16_t selector, x86::Vector vector) {
  const uint64_t linear = EIDOLON_TRY(descriptor_address(cpu, selector, 8, vector));
  return Descriptor{EIDOLON_TRY(read_system<uint64_t>(cpu, linear))};
}

Outcome<SystemDescriptor> read_system_descriptor(Cpu& cpu, uint16_t selector) {
  SystemDescriptor descriptor{EIDOLON_TRY(read_descriptor(cpu, selector))};
  if (!cpu.state.long_mode() || !descriptor.low.is_system()) return descriptor;
  const uint64_t linear = EIDOLON_TRY(descriptor_address(cpu, selector, 16));
  const uint64_t upper = EIDOLON_TRY(read_system<uint64_t>(cpu, linear + 8));
  if (bits(upper, 44, 40) != 0) return raise_gp(selector & 0xfffcu);
  descriptor.upper = static_cast<uint32_t>(upper);
  return descriptor;
}

Outcome<> mark_accessed(Cpu& cpu, uint16_t selector, Descriptor descriptor) {
  if ((descriptor.type() & x86::kAttrAccessed) != 0) return {};
  const uint64_t linear = EIDOLON_TRY(descriptor_address(cpu, selector, 8));
  EIDOLON_TRY(update_system(cpu, linear + 5, x86::kAttrAccessed, 0));
  return {};
}

Outcome<bool> mark_busy(Cpu& cpu, uint16_t selector, bool busy) {
  constexpr uint8_t kBusy = 2;
  const uint64_t linear = EIDOLON_TRY(descriptor_address(cpu, selector, 8)) + 5;
  const uint8_t before = EIDOLON_TRY(update_system(cpu, linear, busy ? kBusy : 0, busy ? 0 : kBusy));
  return (before & kBusy) != 0;
}

SegmentRegister segment_from(uint16_t selector, Descriptor descriptor) {
  return {.selector = selector,
          .attributes = descriptor.attributes() | x86::kAttrAccessed,
          .limit = descriptor.limit(),
          .base = descriptor.base()};
}

SegmentRegister null_segment(uint16_t selector, unsigned dpl) {
  return {.selector = selector,
          .attributes = x86::kAttrUnusable | dpl << x86::kAttrDplShift,
          .limit = 0,
          .base = 0};
}

Outcome<> load_segment(Cpu& cpu, Segment segment, uint16_t selector) {
  State& state = cpu.state;
  if (state.real_or_v86()) {
    load_real_segment(state, segment, selector);
    return {};
  }
  if (x86::selector_is_null(selector)) return load_null(state, segment, selector);
  const Descriptor descriptor = EIDOLON_TRY(read_descriptor(cpu, selector));
  if (segment == x86::kSs) {
    EIDOLON_TRY(check_stack_segment(state, selector, descriptor));
  } else {
    EIDOLON_TRY(check_data_segment(state, selector, descriptor));
  }
  EIDOLON_TRY(mark_accessed(cpu, selector, descriptor));
  state.segment[segment] = segment_from(selector, descriptor);
  return {};
}

Outcome<> load_ldtr(Cpu& cpu, uint16_t selector) {
  EIDOLON_TRY(check_privileged(cpu.state));
  if (x86::selector_is_null(selector)) {
    cpu.state.ldtr = null_segment(selector);
    return {};
  }
  const SystemDescriptor descriptor = EIDOLON_TRY(read_gdt_system_descriptor(cpu, selector));
  if (descriptor.low.type() != x86::kLdt) return raise_gp(selector & 0xfffcu);
  if (!descriptor.low.present()) return raise(x86::kSegmentNotPresent, selector & 0xfffcu);
  cpu.state.ldtr = {.selector = selector,
                    .attributes = descriptor.low.attributes(),
                    .limit = descriptor.low.limit(),
                    .base = descriptor.base()};
  return {};
}

Outcome<> load_tr(Cpu& cpu, uint16_t selector) {
  EIDOLON_TRY(check_privileged(cpu.state));
  if (x86::selector_is_null(selector)) return raise_gp();
  const SystemDescriptor descriptor = EIDOLON_TRY(read_gdt_system_descriptor(cpu, selector));
  const unsigned type = descriptor.low.type();
  const bool available =
      type == x86::kTss32Available || (type == x86::kTss16Available && !cpu.state.long_mode());
  if (!available) return raise_gp(selector & 0xfffcu);
  if (!descriptor.low.present()) return raise(x86::kSegmentNotPresent, selector & 0xfffcu);
  // Another processor may have been faster.
  if (EIDOLON_TRY(mark_busy(cpu, selector, true))) return raise_gp(selector & 0xfffcu);
  cpu.state.tr = {.selector = selector,
                  .attributes = descriptor.low.attributes() | 2,  // busy
                  .limit = descriptor.low.limit(),
                  .base = descriptor.base()};
  return {};
}

void load_real_segment(State& state, Segment segment, uint16_t selector) {
  constexpr uint32_t kData =
      x86::kAttrPresent | x86::kAttrCodeOrData | x86::kAttrWritable | x86::kAttrAccessed;
  SegmentRegister& s = state.segment[segment];
  s.selector = selector;
  s.base = uint64_t{selector} << 4;
  if (state.virtual_8086()) {
    s.attributes = kData | x86::kAttrDpl;
    s.limit = 0xffff;
    return;
  }
  // Real-address mode keeps limit and size of what protected mode left there ("unreal mode").
  if (!s.usable()) s.limit = 0xffff;
  s.attributes = kData | (s.attributes & (x86::kAttrBig | x86::kAttrGranular));
}

uint64_t stack_mask(const SegmentRegister& stack, bool long_code) {
  if (long_code) return ~uint64_t{0};
  return (stack.attributes & x86::kAttrBig) != 0 ? mask_below(32) : mask_below(16);
}

uint64_t stack_mask(const State& state) { return stack_mask(state.segment[x86::kSs], state.long_code()); }

isa::CodeSize code_size(const State& state) {
  if (state.long_code()) return isa::CodeSize::k64;
  return (state.segment[x86::kCs].attributes & x86::kAttrBig) != 0 ? isa::CodeSize::k32 : isa::CodeSize::k16;
}

}  // namespace eidolon::cpu
