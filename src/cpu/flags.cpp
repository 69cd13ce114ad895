// PUSHF, POPF, CLI, STI, CLAC, STAC, with virtual-8086 mode extensions and protected-mode virtual interrupts
// (SDM volume 2; volume 3, 20.3 and 20.4).
#include "base/try.h"
#include "cpu/handlers.h"
#include "cpu/stack.h"

namespace eidolon::cpu::handlers {

namespace {

using namespace x86;

/// Whether IF may not be touched here and VIF stands in for it, if that is enabled.
enum class InterruptFlag : uint8_t { kReal, kVirtual, kForbidden };

[[nodiscard]] InterruptFlag interrupt_flag(const Operation& op) {
  const State& state = op.state;
  if (!state.protected_mode() || op.cpl() <= state.iopl()) return InterruptFlag::kReal;
  const uint64_t extension = state.virtual_8086() ? kCr4Vme : kCr4Pvi;
  const bool enabled = (state.control.cr4 & extension) != 0 && op.cpl() == 3;
  return enabled ? InterruptFlag::kVirtual : InterruptFlag::kForbidden;
}

/// In virtual-8086 mode with IOPL < 3: 16-bit PUSHF and POPF work on VIF if CR4.VME, all others fault.
Outcome<bool> uses_virtual_flags(const Operation& op) {
  if (!op.state.virtual_8086() || op.state.iopl() == 3) return false;
  if ((op.state.control.cr4 & kCr4Vme) == 0 || op.operand_size() != 2) return raise_gp();
  return true;
}

Outcome<uint64_t> popped_virtual_flags(const State& state, uint64_t value) {
  const bool enables = (value & kFlagIf) != 0;
  if ((value & kFlagTf) != 0 || (enables && (state.rflags & kFlagVip) != 0)) return raise_gp();
  constexpr uint64_t kLoaded = kFlagsArithmetic | kFlagTf | kFlagDf | kFlagNt;
  const uint64_t kept = state.rflags & ~(kLoaded | kFlagVif | kFlagRf);
  return kept | (value & kLoaded) | (enables ? kFlagVif : 0);
}

/// The flags that POPF may change (SDM volume 2, POPF, table 4-15). RF is cleared.
[[nodiscard]] uint64_t popped_flags(const Operation& op, uint64_t value) {
  const State& state = op.state;
  uint64_t loaded = kFlagsArithmetic | kFlagTf | kFlagDf | kFlagNt;
  if (op.operand_size() != 2) loaded |= kFlagAc | kFlagId;
  if (op.cpl() == 0) loaded |= kFlagIopl;
  if (!state.protected_mode() || op.cpl() <= state.iopl()) loaded |= kFlagIf;
  return (state.rflags & ~(loaded | kFlagRf)) | (value & loaded);
}

}  // namespace

Outcome<> pushf(Operation& op) {
  uint64_t value = op.state.rflags & ~(kFlagRf | kFlagVm);
  if (EIDOLON_TRY(uses_virtual_flags(op))) {
    value = (value & ~kFlagIf) | kFlagIopl | ((value & kFlagVif) != 0 ? kFlagIf : 0);
  }
  Stack stack(op.cpu);
  EIDOLON_TRY(stack.push(value, op.operand_size()));
  stack.commit();
  return {};
}

Outcome<> popf(Operation& op) {
  const bool virtual_flags = EIDOLON_TRY(uses_virtual_flags(op));
  Stack stack(op.cpu);
  const uint64_t value = EIDOLON_TRY(stack.pop(op.operand_size()));
  op.state.rflags =
      virtual_flags ? EIDOLON_TRY(popped_virtual_flags(op.state, value)) : popped_flags(op, value);
  stack.commit();
  return {};
}

Outcome<> cli(Operation& op) {
  switch (interrupt_flag(op)) {
    case InterruptFlag::kReal:
      op.state.rflags &= ~kFlagIf;
      return {};
    case InterruptFlag::kVirtual:
      op.state.rflags &= ~kFlagVif;
      return {};
    case InterruptFlag::kForbidden:
      break;
  }
  return raise_gp();
}

Outcome<> sti(Operation& op) {
  switch (interrupt_flag(op)) {
    case InterruptFlag::kReal:
      // Only a change from 0 to 1 holds back interrupts for one instruction.
      if ((op.state.rflags & kFlagIf) == 0) {
        op.state.interrupt_shadow = op.next_rip();
        op.state.shadow_blocks_debug = false;
      }
      op.state.rflags |= kFlagIf;
      return {};
    case InterruptFlag::kVirtual:
      if ((op.state.rflags & kFlagVip) != 0) return raise_gp();
      op.state.rflags |= kFlagVif;
      return {};
    case InterruptFlag::kForbidden:
      break;
  }
  return raise_gp();
}

Outcome<> clac(Operation& op) {
  if (!op.cpu.model.has(CpuidModel::Feature::kSmap) || op.cpl() != 0) return raise_ud();
  op.state.rflags &= ~kFlagAc;
  return {};
}

Outcome<> stac(Operation& op) {
  if (!op.cpu.model.has(CpuidModel::Feature::kSmap) || op.cpl() != 0) return raise_ud();
  op.state.rflags |= kFlagAc;
  return {};
}

}  // namespace eidolon::cpu::handlers
