// Which handler an instruction has, and the handlers of a few lines.
#include "cpu/sensitive.h"
#include "engine/step/context.h"

namespace eidolon::engine::step {

using cpu::Outcome;

Outcome<> run_sensitive(Context& context, const Operation& operation) {
  return cpu::execute_sensitive(context.cpu, operation.instruction);
}

Outcome<> run_undefined(Context&, const Operation&) { return cpu::raise_ud(); }

Outcome<> run_nothing(Context& context, const Operation&) {
  context.advance();
  return {};
}

/// DF is never loaded into the host's flags.
Outcome<> run_direction_flag(Context& context, const Operation& operation) {
  const bool set = operation.instruction.mnemonic() == ZYDIS_MNEMONIC_STD;
  uint64_t& flags = context.state.rflags;
  flags = set ? flags | x86::kFlagDf : flags & ~x86::kFlagDf;
  context.advance();
  return {};
}

namespace {

Handler choose_innocuous(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
      return run_undefined;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_PAUSE:
      return run_nothing;
    case ZYDIS_MNEMONIC_STD:
    case ZYDIS_MNEMONIC_CLD:
      return run_direction_flag;
    case ZYDIS_MNEMONIC_LEA:
      return run_lea;
    case ZYDIS_MNEMONIC_VZEROALL:
    case ZYDIS_MNEMONIC_VZEROUPPER:
      return instruction.code_size == isa::CodeSize::k64 ? run_plain : run_vector_zero;
    default:
      break;
  }
  if (Handler legacy = choose_legacy(instruction)) return legacy;
  if (!isa::has_explicit_memory(instruction)) return run_plain;
  if (isa::is_cache_line_flush(instruction)) return run_line_flush;
  return isa::memory_operand_is_accessed(instruction) ? run_memory : run_nothing;
}

bool avx_enabled(const cpu::State& state, uint64_t components) {
  return (state.control.cr4 & x86::kCr4OsXsave) != 0 && (state.xcr0 & components) == components;
}

}  // namespace

Handler choose_handler(const isa::Instruction& instruction) {
  switch (instruction.klass) {
    case isa::Class::kInnocuous:
      return choose_innocuous(instruction);
    case isa::Class::kControlFlow:
      return choose_branch(instruction);
    case isa::Class::kStack:
      return choose_stack(instruction);
    case isa::Class::kString:
      return choose_string(instruction);
    case isa::Class::kImplicitMemory:
      return choose_implicit(instruction);
    case isa::Class::kState:
    case isa::Class::kControlSensitive:
    case isa::Class::kBehaviourSensitive:
      return run_sensitive;
    case isa::Class::kUnsupported:
      return run_undefined;
  }
  return run_undefined;
}

/// SDM volume 3, 2.5 (CR0.EM, MP, TS), 13.1 and volume 1, 13.3.
Outcome<> check_extended_state(const cpu::State& state, const Operation& operation) {
  using isa::ExtendedState;
  const uint64_t cr0 = state.control.cr0;
  constexpr uint64_t kAvxState = x86::kXcr0Sse | x86::kXcr0Avx;
  bool undefined = false;
  bool unavailable = (cr0 & x86::kCr0Ts) != 0;
  switch (operation.extended) {
    case ExtendedState::kNone:
      return {};
    case ExtendedState::kX87:
      if (operation.instruction.mnemonic() == ZYDIS_MNEMONIC_FWAIT) {
        unavailable = unavailable && (cr0 & x86::kCr0Mp) != 0;
      } else {
        unavailable = unavailable || (cr0 & x86::kCr0Em) != 0;
      }
      break;
    case ExtendedState::kMmx:
      undefined = (cr0 & x86::kCr0Em) != 0;
      break;
    case ExtendedState::kSse:
      undefined = (cr0 & x86::kCr0Em) != 0 || (state.control.cr4 & x86::kCr4OsFxsr) == 0;
      break;
    case ExtendedState::kAvx:
      undefined = !avx_enabled(state, kAvxState);
      break;
    case ExtendedState::kAvx512:
      undefined = !avx_enabled(state, kAvxState | x86::kXcr0Avx512);
      break;
  }
  if (undefined) return cpu::raise_ud();
  if (unavailable) return cpu::raise(x86::kDeviceNotAvailable);
  return {};
}

}  // namespace eidolon::engine::step
