// A stub: the host code that runs one guest instruction natively, and the way into it.
//
// A stub loads the guest registers and flags that its instruction reads, runs the instruction with its memory
// operand at [base], stores what it wrote, and returns. It has no jumps, and nothing in it but the rewritten
// instruction comes from the guest. For `adc [rbx + 8], rdx`, whose address the engine has computed:
//
//     xchg rdi, rsi ...            state and operand move to registers that the instruction leaves free: rcx,
//     rax mov  edx, [rcx + rflags]     the arithmetic flags, and no others and  edx, 8d5h ; push rdx ; popfq
//     mov  rdx, [rcx + gpr.rdx]    what it reads (rbx too: liveness counts address registers)
//     adc  [rax], rdx              the guest's instruction
//     pushfq ; pop rax ; ...       what it wrote: here only flags, merged into State::rflags
//     ret
//
// Why stubs and not one shared trampoline that loads everything: a stub moves only what its instruction uses,
// some ten host instructions.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cpu/state.h"
#include "isa/instruction.h"

namespace eidolon::engine::step {

/// What the way in and out needs; enter_stub.S knows the offsets.
struct StubFrame {
  uint64_t host_rsp = 0;
  uint64_t mask = 0;      ///< XSAVE components that are the guest's
  void* image = nullptr;  ///< State::fpu
  void* clean = nullptr;  ///< the monitor's own: everything initial
  uint8_t vector = 0;     ///< of the host fault
};
static_assert(offsetof(StubFrame, mask) == 8 && offsetof(StubFrame, image) == 16 &&
              offsetof(StubFrame, clean) == 24);

inline constexpr unsigned kMaxStubSize = 320;

struct StubCode {
  std::array<uint8_t, kMaxStubSize> bytes;
  unsigned size = 0;
};

/// Generates the stub of an innocuous instruction or of a bit string instruction; false if it has no equal in
/// 64-bit code.
[[nodiscard]] bool build_stub(const isa::Instruction& instruction, std::span<const uint8_t> guest_bytes,
                              StubCode& out);

extern "C" {
uint32_t eidolon_step_enter(cpu::State* state, void* memory, const void* stub, StubFrame* frame);
uint32_t eidolon_step_enter_fpu(cpu::State* state, void* memory, const void* stub, StubFrame* frame);
void eidolon_step_fault();
void eidolon_step_fault_fpu();
extern const char eidolon_step_enter_end[];
}

}  // namespace eidolon::engine::step
