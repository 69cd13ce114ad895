// What far transfers and event delivery share: the checks of a new code segment, and its loading
// (SDM volume 3, 5.8).
#pragma once

#include <cstdint>

#include "cpu/segmentation.h"
#include "cpu/stack.h"

namespace eidolon::cpu {

/// A code segment on its way into CS.
struct CodeSegment {
  uint16_t selector;  ///< its RPL is replaced by the new CPL
  x86::Descriptor descriptor;

  [[nodiscard]] uint32_t error() const { return selector & 0xfffcu; }
  [[nodiscard]] bool conforming() const { return (descriptor.type() & x86::kAttrConforming) != 0; }
  /// The mode that the segment gives: 64-bit code.
  [[nodiscard]] bool is_long(const State& state) const {
    return state.long_mode() && (descriptor.attributes() & x86::kAttrLong) != 0;
  }
};

/// The code segment of `selector`: #GP if it is null (error 0), outside its table, no code, or has both L and
/// D in IA-32e mode. Privilege and presence are left to the caller.
[[nodiscard]] Outcome<CodeSegment> read_code_segment(Cpu& cpu, uint16_t selector);
/// #NP(selector) if it is not present.
[[nodiscard]] Outcome<> check_present(const CodeSegment& code);
/// #GP(0) if `offset` is outside the limit or, in 64-bit code, not canonical.
[[nodiscard]] Outcome<> check_code_offset(const State& state, const CodeSegment& code, uint64_t offset);
/// The code segment that a far return goes to, whose privilege level is its RPL: every check of it.
[[nodiscard]] Outcome<CodeSegment> read_return_segment(Cpu& cpu, uint16_t selector);
/// The stack segment that a return pops together with CS: #GP(selector), #SS(selector) if it is not present.
/// Null is a good one for 64-bit code below CPL 3. Sets the accessed bit.
[[nodiscard]] Outcome<SegmentRegister> read_return_stack(Cpu& cpu, uint16_t selector,
                                                         const CodeSegment& code);

/// Loads CS and RIP. The CPL itself is in SS, and the caller's to change.
void enter_code(State& state, const CodeSegment& code, unsigned cpl, uint64_t rip);

/// After a return to level `cpl`: data segments that it may not use become null. Their bases stay, for FS and
/// GS in 64-bit mode.
void drop_privileged_segments(State& state, unsigned cpl);

/// Sets the flags of `mask` to their values in `value`.
inline void replace_flags(State& state, uint64_t value, uint64_t mask) {
  state.rflags = (state.rflags & ~mask) | (value & mask) | x86::kFlagFixed;
}

/// Whose access to its stack it is at privilege level `cpl`.
[[nodiscard]] inline mmu::View stack_view(unsigned cpl) {
  return cpl == 3 ? mmu::View::kUser : mmu::View::kSupervisor;
}

}  // namespace eidolon::cpu
