#include "cpu/stack.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/vendor_rules.h"

namespace eidolon::cpu {

Stack::Stack(Cpu& cpu)
    : Stack(cpu, {.segment = cpu.state.segment[x86::kSs],
                  .pointer = cpu.state.gpr[x86::kRsp],
                  .long_code = cpu.state.long_code(),
                  .view = cpu.data_view(),
                  .error = 0}) {}

Stack::Stack(Cpu& cpu, const Other& other)
    : cpu_(cpu),
      segment_(other.segment),
      check_{.long_code = other.long_code,
             .has_base = false,
             .check_type = cpu.state.protected_mode(),
             .ends_at_4g = rules_of(cpu.model).limit_ends_at_4g,
             .vector = x86::kStackFault,
             .error = other.error},
      view_(other.view),
      mask_(stack_mask(other.segment, other.long_code)),
      pointer_(other.pointer & mask_) {}

Outcome<uint64_t> Stack::address(uint64_t offset, unsigned size, mmu::Access access) const {
  return linear_address(segment_, offset, size, access, check_);
}

Outcome<> Stack::push(uint64_t value, unsigned size) {
  const uint64_t pointer = (pointer_ - size) & mask_;
  const uint64_t linear = EIDOLON_TRY(address(pointer, size, mmu::Access::kWrite));
  if (size == 8) {
    EIDOLON_TRY(write_linear<uint64_t>(cpu_, linear, value, view_));
  } else {
    EIDOLON_TRY(write_linear(cpu_, linear, &value, size, view_));
  }
  pointer_ = pointer;
  return {};
}

Outcome<uint64_t> Stack::peek(uint64_t distance, unsigned size) {
  const uint64_t linear = EIDOLON_TRY(address((pointer_ + distance) & mask_, size, mmu::Access::kRead));
  if (size == 8) return read_linear<uint64_t>(cpu_, linear, view_);
  uint64_t value = 0;
  EIDOLON_TRY(read_linear(cpu_, linear, &value, size, view_));
  return value;
}

Outcome<uint64_t> Stack::pop(unsigned size) {
  const uint64_t value = EIDOLON_TRY(peek(0, size));
  pointer_ = (pointer_ + size) & mask_;
  return value;
}

void Stack::skip(uint64_t bytes) { pointer_ = (pointer_ + bytes) & mask_; }

void Stack::commit() { set_stack_pointer(cpu_.state, pointer_, mask_); }

void set_stack_pointer(State& state, uint64_t pointer, uint64_t mask) {
  uint64_t& rsp = state.gpr[x86::kRsp];
  rsp = mask == mask_below(16) ? (rsp & ~mask) | (pointer & mask) : pointer & mask;
}

}  // namespace eidolon::cpu
