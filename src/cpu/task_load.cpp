#include "cpu/task_load.h"

#include "base/try.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

using x86::Descriptor;

[[nodiscard]] std::unexpected<Fault> invalid_task(uint16_t selector) {
  return raise(x86::kInvalidTss, selector & 0xfffcu);
}

Outcome<> load_task_ldt(Cpu& cpu, uint16_t selector) {
  if (x86::selector_is_null(selector)) return {};
  if (x86::selector_in_ldt(selector)) return invalid_task(selector);
  const Descriptor d = EIDOLON_TRY(read_descriptor(cpu, selector, x86::kInvalidTss));
  if (!d.is_system() || d.type() != x86::kLdt || !d.present()) return invalid_task(selector);
  cpu.state.ldtr = {selector, d.attributes(), d.limit(), d.base()};
  return {};
}

Outcome<> load_task_code(Cpu& cpu, uint16_t selector) {
  if (x86::selector_is_null(selector)) return invalid_task(selector);
  const CodeSegment code{selector, EIDOLON_TRY(read_descriptor(cpu, selector, x86::kInvalidTss))};
  const unsigned rpl = x86::selector_rpl(selector);
  const unsigned dpl = code.descriptor.dpl();
  if (!code.descriptor.is_code() || (code.conforming() ? dpl > rpl : dpl != rpl))
    return invalid_task(selector);
  EIDOLON_TRY(check_present(code));
  EIDOLON_TRY(mark_accessed(cpu, selector, code.descriptor));
  cpu.state.segment[x86::kCs] = segment_from(selector, code.descriptor);
  return {};
}

Outcome<> load_task_stack(Cpu& cpu, uint16_t selector, unsigned cpl) {
  if (x86::selector_is_null(selector)) return invalid_task(selector);
  const Descriptor d = EIDOLON_TRY(read_descriptor(cpu, selector, x86::kInvalidTss));
  const bool writable_data = !d.is_system() && !d.is_code() && (d.type() & x86::kAttrWritable) != 0;
  if (!writable_data || x86::selector_rpl(selector) != cpl || d.dpl() != cpl) return invalid_task(selector);
  if (!d.present()) return raise(x86::kStackFault, selector & 0xfffcu);
  EIDOLON_TRY(mark_accessed(cpu, selector, d));
  cpu.state.segment[x86::kSs] = segment_from(selector, d);
  return {};
}

/// As MOV loads them, but what is a #GP there is a #TS here.
Outcome<> load_task_data(Cpu& cpu, x86::Segment segment, uint16_t selector) {
  auto loaded = load_segment(cpu, segment, selector);
  if (!loaded && loaded.error().vector == x86::kGeneralProtection) return invalid_task(selector);
  return loaded;
}

}  // namespace

Outcome<> load_task_segments(Cpu& cpu, const TaskImage& image) {
  State& state = cpu.state;
  const unsigned cpl = state.virtual_8086() ? 3 : x86::selector_rpl(image.selector[x86::kCs]);
  for (unsigned i = 0; i < x86::kSegmentCount; ++i) state.segment[i] = null_segment(image.selector[i]);
  state.segment[x86::kSs] = null_segment(image.selector[x86::kSs], cpl);
  state.ldtr = null_segment(image.ldt);

  EIDOLON_TRY(load_task_ldt(cpu, image.ldt));
  if (state.virtual_8086()) {
    for (unsigned i = 0; i < x86::kSegmentCount; ++i)
      load_real_segment(state, static_cast<x86::Segment>(i), image.selector[i]);
  } else {
    // The stack first: a fault of what follows is delivered on it.
    EIDOLON_TRY(load_task_stack(cpu, image.selector[x86::kSs], cpl));
    EIDOLON_TRY(load_task_code(cpu, image.selector[x86::kCs]));
    for (const x86::Segment segment : {x86::kDs, x86::kEs, x86::kFs, x86::kGs})
      EIDOLON_TRY(load_task_data(cpu, segment, image.selector[segment]));
  }
  if (state.rip > state.segment[x86::kCs].limit) return raise_gp();
  return {};
}

}  // namespace eidolon::cpu
