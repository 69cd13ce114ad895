// Sensitive instructions on RFLAGS, inline. The system flags are in State::rflags, the arithmetic ones where
// the block has them. Meaning: cpu/flags.cpp.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint16_t kRspBit = 1u << x86::kRsp;
constexpr uint32_t low(uint64_t flags) { return static_cast<uint32_t>(flags); }

/// State::rflags without the arithmetic flags, and without RF, which lasts for one instruction.
constexpr uint32_t kSystemFlags =
    low((x86::kFlagsDefined | x86::kFlagFixed) & ~(x86::kFlagsArithmetic | x86::kFlagRf));
/// The arithmetic flags that LAHF moves.
constexpr uint32_t kLowFlags = low(x86::kFlagsArithmetic & 0xff);
constexpr unsigned kOverflowShift = 11;
static_assert(x86::kFlagOf == uint64_t{1} << kOverflowShift);
/// What POPF loads at CPL 0 with operands of 32 and 64 bits.
constexpr uint32_t kPopped = low(x86::kFlagsArithmetic | x86::kFlagTf | x86::kFlagIf | x86::kFlagDf |
                                 x86::kFlagIopl | x86::kFlagNt | x86::kFlagAc | x86::kFlagId);
}  // namespace

/// Nothing is asked for between here and the end of the block, so the shadow over the next instruction needs
/// no note (Analysis sees to it that there is one). Interrupts that waited for IF are the monitor's business.
void Builder::emit_sti(const DecodedInstruction& d) {
  save_flags_if_live(d);
  e_.compare32(layout_.deferred_events(), 0);
  leave_if(kConditionNe, add_site(SiteKind::kStep, &d));
  emit_flag(x86::kFlagIf, true);
}

/// RFLAGS as PUSHF and SYSCALL show them, in `to`. Flags must be put aside.
void Builder::emit_compose_flags(unsigned to, unsigned work) {
  e_.gs();
  e_.movzx(reg32(to), word[Xbyak::RegExp(layout_.saved_flags())]);
  e_.mov(reg32(work), reg32(to));
  e_.shr(reg32(to), 8);     // as LAHF: SF, ZF, AF, PF, CF
  e_.and_(reg32(work), 1);  // as SETO
  e_.shl(reg32(work), kOverflowShift);
  e_.or_(reg32(to), reg32(work));
  e_.gs();
  e_.mov(reg32(work), dword[Xbyak::RegExp(layout_.rflags())]);
  e_.and_(reg32(work), kSystemFlags);
  e_.or_(reg32(to), reg32(work));
}

/// The reverse: `flags` become the guest's, put aside. Both registers are lost.
void Builder::emit_set_flags(unsigned flags, unsigned work) {
  e_.store(layout_.rflags(), flags);
  e_.mov(reg32(work), reg32(flags));
  e_.and_(reg32(work), kLowFlags);
  e_.shl(reg32(work), 8);
  e_.shr(reg32(flags), kOverflowShift);
  e_.and_(reg32(flags), 1);
  e_.or_(reg32(work), reg32(flags));
  e_.gs();
  e_.mov(dword[Xbyak::RegExp(layout_.saved_flags())], reg32(work));
  flags_saved_ = saved_valid_ = true;
}

void Builder::emit_pushf(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  save_flags_if_live(d);
  const HostAddress to = host_address_of_stack(d, x86::kRsp, -width, stack_width(), true, kRspBit);
  busy_ |= register_bit(to.ours());
  const unsigned value = scratch(0);
  const unsigned part = scratch(0);
  emit_compose_flags(value, part);
  if (width == 8)
    e_.mov(qword[at(to)], reg64(value));
  else
    e_.mov(dword[at(to)], reg32(value));
  emit_stack_change(-width);
  changed(kRspBit);
}

/// A POPF that sets TF or changes AC is left to the monitor, as is one with interrupts that wait for IF.
void Builder::emit_popf(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  save_flags_if_live(d);
  need(kRspBit);
  const HostAddress from = host_address_of_stack(d, x86::kRsp, 0, stack_width(), false, kRspBit);
  busy_ |= register_bit(from.ours());
  const unsigned value = scratch(0);
  const unsigned work = scratch(0);
  const uint32_t site = add_site(SiteKind::kStep, &d);
  e_.mov(reg32(value), dword[at(from)]);
  e_.gs();
  e_.mov(reg32(work), dword[Xbyak::RegExp(layout_.rflags())]);
  e_.xor_(reg32(work), reg32(value));
  e_.test(reg32(work), low(x86::kFlagAc | x86::kFlagTf));  // TF is clear, or this would not be translated
  leave_if(kConditionNe, site);
  e_.compare32(layout_.deferred_events(), 0);
  leave_if(kConditionNe, site);
  e_.and_(reg32(value), kPopped);
  e_.gs();
  e_.mov(reg32(work), dword[Xbyak::RegExp(layout_.rflags())]);
  e_.and_(reg32(work), low(x86::kFlagsDefined | x86::kFlagFixed) & ~(kPopped | low(x86::kFlagRf)));
  e_.or_(reg32(value), reg32(work));
  emit_set_flags(value, work);
  emit_stack_change(width);
  changed(kRspBit);
}

/// STAC and CLAC, under CR4.SMAP: the end of the block, as what follows is a block of another mode.
void Builder::emit_suspend_smap(const DecodedInstruction& d) {
  save_flags_if_live(d);
  emit_flag(x86::kFlagAc, d.instruction->mnemonic() == ZYDIS_MNEMONIC_STAC);
}

/// Sets or clears a system flag. The host's flags must be put aside.
void Builder::emit_flag(uint64_t flag, bool set) {
  const auto flags = dword[Xbyak::RegExp(layout_.rflags())];
  e_.gs();
  if (set)
    e_.or_(flags, low(flag));
  else
    e_.and_(flags, ~low(flag));
}

}  // namespace eidolon::engine::translate
