#include "cpu/task_stack.h"

#include "base/try.h"
#include "cpu/task_segment.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

/// Reads a pointer of `T` from the current TSS: #TS(TR) beyond its limit, of which the processor looks at
/// `last`.
template <typename T>
Outcome<T> read_tss(Cpu& cpu, uint32_t offset, uint32_t last) {
  const SegmentRegister& tr = cpu.state.tr;
  if (last > tr.limit) return raise(x86::kInvalidTss, tr.selector & 0xfffcu);
  return read_system<T>(cpu, tr.base + offset);
}

Outcome<SegmentRegister> inner_stack_segment(Cpu& cpu, uint16_t selector, unsigned level) {
  const uint32_t error = selector & 0xfffcu;
  if (x86::selector_is_null(selector)) return raise(x86::kInvalidTss, error);
  const x86::Descriptor d = EIDOLON_TRY(read_descriptor(cpu, selector, x86::kInvalidTss));
  const bool writable_data = !d.is_system() && !d.is_code() && (d.type() & x86::kAttrWritable) != 0;
  if (x86::selector_rpl(selector) != level || d.dpl() != level || !writable_data)
    return raise(x86::kInvalidTss, error);
  if (!d.present()) return raise(x86::kStackFault, error);
  EIDOLON_TRY(mark_accessed(cpu, selector, d));
  return segment_from(selector, d);
}

}  // namespace

Outcome<InnerStack> inner_stack(Cpu& cpu, unsigned level) {
  if (cpu.state.long_mode()) {
    const uint32_t offset = level * 8 + 4;
    const uint64_t rsp = EIDOLON_TRY(read_tss<uint64_t>(cpu, offset, offset + 7));
    return InnerStack{null_segment(static_cast<uint16_t>(level), level), rsp};
  }
  uint64_t pointer;
  uint16_t selector;
  if (is_16_bit_tss(cpu.state.tr.attributes)) {
    const uint32_t offset = level * 4 + 2;
    pointer = EIDOLON_TRY(read_tss<uint16_t>(cpu, offset, offset + 3));
    selector = EIDOLON_TRY(read_tss<uint16_t>(cpu, offset + 2, offset + 3));
  } else {
    const uint32_t offset = level * 8 + 4;
    pointer = EIDOLON_TRY(read_tss<uint32_t>(cpu, offset, offset + 5));
    selector = EIDOLON_TRY(read_tss<uint16_t>(cpu, offset + 4, offset + 5));
  }
  return InnerStack{EIDOLON_TRY(inner_stack_segment(cpu, selector, level)), pointer};
}

Outcome<uint64_t> interrupt_stack(Cpu& cpu, unsigned index) {
  const uint32_t offset = index * 8 + 28;
  return read_tss<uint64_t>(cpu, offset, offset + 7);
}

Stack::Other as_other(const InnerStack& stack, bool long_mode) {
  return {.segment = stack.segment,
          .pointer = stack.pointer,
          .long_code = long_mode,
          .view = stack_view(stack.segment.dpl()),
          .error = stack.segment.selector & 0xfffcu};
}

}  // namespace eidolon::cpu
