#include "cpu/transfer_code.h"

#include "base/try.h"

namespace eidolon::cpu {

Outcome<CodeSegment> read_code_segment(Cpu& cpu, uint16_t selector) {
  if (x86::selector_is_null(selector)) return raise_gp();
  const CodeSegment code{selector, EIDOLON_TRY(read_descriptor(cpu, selector))};
  if (!code.descriptor.is_code()) return raise_gp(code.error());
  constexpr uint32_t kBoth = x86::kAttrLong | x86::kAttrBig;
  if (cpu.state.long_mode() && (code.descriptor.attributes() & kBoth) == kBoth) return raise_gp(code.error());
  return code;
}

Outcome<> check_present(const CodeSegment& code) {
  if (!code.descriptor.present()) return raise(x86::kSegmentNotPresent, code.error());
  return {};
}

Outcome<> check_code_offset(const State& state, const CodeSegment& code, uint64_t offset) {
  const bool good = code.is_long(state) ? is_canonical(offset) : offset <= code.descriptor.limit();
  if (!good) return raise_gp();
  return {};
}

Outcome<CodeSegment> read_return_segment(Cpu& cpu, uint16_t selector) {
  const CodeSegment code = EIDOLON_TRY(read_code_segment(cpu, selector));
  const unsigned rpl = x86::selector_rpl(selector);
  const unsigned dpl = code.descriptor.dpl();
  if (rpl < cpu.state.cpl() || (code.conforming() ? dpl > rpl : dpl != rpl)) return raise_gp(code.error());
  EIDOLON_TRY(check_present(code));
  return code;
}

Outcome<SegmentRegister> read_return_stack(Cpu& cpu, uint16_t selector, const CodeSegment& code) {
  const unsigned cpl = x86::selector_rpl(code.selector);
  if (x86::selector_is_null(selector)) {
    if (!code.is_long(cpu.state) || cpl == 3 || x86::selector_rpl(selector) != cpl) return raise_gp();
    return null_segment(selector, cpl);
  }
  const uint32_t error = selector & 0xfffcu;
  const x86::Descriptor stack = EIDOLON_TRY(read_descriptor(cpu, selector));
  const bool writable_data =
      !stack.is_system() && !stack.is_code() && (stack.type() & x86::kAttrWritable) != 0;
  if (x86::selector_rpl(selector) != cpl || !writable_data || stack.dpl() != cpl) return raise_gp(error);
  if (!stack.present()) return raise(x86::kStackFault, error);
  EIDOLON_TRY(mark_accessed(cpu, selector, stack));
  return segment_from(selector, stack);
}

void enter_code(State& state, const CodeSegment& code, unsigned cpl, uint64_t rip) {
  const auto selector = static_cast<uint16_t>((code.selector & ~3u) | cpl);
  state.segment[x86::kCs] = segment_from(selector, code.descriptor);
  state.rip = rip;
}

void drop_privileged_segments(State& state, unsigned cpl) {
  for (const x86::Segment which : {x86::kEs, x86::kDs, x86::kFs, x86::kGs}) {
    SegmentRegister& segment = state.segment[which];
    constexpr uint32_t kConforming = x86::kAttrCode | x86::kAttrConforming;
    const bool conforming = (segment.attributes & kConforming) == kConforming;
    if (segment.usable() && (conforming || segment.dpl() >= cpl)) continue;
    segment.selector = 0;
    segment.attributes = x86::kAttrUnusable;
  }
}

}  // namespace eidolon::cpu
