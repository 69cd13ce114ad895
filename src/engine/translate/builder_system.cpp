// Sensitive instructions that are a few moves on the processor's state, inline. Everything else about them
// (other privilege levels, the interrupt shadow where it could be seen) is left to cpu/, whose meaning this
// follows: cpu/flags.cpp, segment_moves.cpp, system_call.cpp, processor.cpp.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint16_t kRaxBit = 1u << x86::kRax;
constexpr uint16_t kRcxBit = 1u << x86::kRcx;
constexpr uint16_t kRdxBit = 1u << x86::kRdx;

bool is_cr8(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value == ZYDIS_REGISTER_CR8;
}

x86::Segment segment_of(ZydisRegister reg) { return static_cast<x86::Segment>(reg - ZYDIS_REGISTER_ES); }
}  // namespace

bool is_inline_system(const isa::Instruction& in, Mode mode) {
  const bool kernel = !mode.user();
  const unsigned width = mode.long_code() ? 64 : 32;
  if ((in.zydis.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return false;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
      return kernel;
    case ZYDIS_MNEMONIC_STAC:
    case ZYDIS_MNEMONIC_CLAC:
      return kernel && mode.smap();
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
      return kernel && in.zydis.operand_width == width && in.zydis.stack_width == width;
    case ZYDIS_MNEMONIC_SWAPGS:
      return kernel && mode.long_code();
    case ZYDIS_MNEMONIC_RDFSBASE:
    case ZYDIS_MNEMONIC_RDGSBASE:
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
      return mode.long_code() && mode.fsgsbase();
    case ZYDIS_MNEMONIC_SYSCALL:
      return mode.long_code() && !kernel && mode.syscall_enabled();
    case ZYDIS_MNEMONIC_SYSRET:
      return mode.long_code() && kernel && mode.syscall_enabled() && in.zydis.operand_width == 64;
    case ZYDIS_MNEMONIC_CPUID:
      return true;
    case ZYDIS_MNEMONIC_RDTSC:
      return mode.inline_tsc() && !mode.tsc_disabled();
    case ZYDIS_MNEMONIC_RDTSCP:
      return mode.inline_rdtscp() && !mode.tsc_disabled();
    case ZYDIS_MNEMONIC_MOV: {
      const ZydisDecodedOperand& to = in.operands[0];
      const ZydisDecodedOperand& from = in.operands[1];
      if (is_cr8(to) || is_cr8(from)) return kernel && mode.long_code() && mode.inline_priority();
      return to.type == ZYDIS_OPERAND_TYPE_REGISTER && from.type == ZYDIS_OPERAND_TYPE_REGISTER &&
             from.reg.value >= ZYDIS_REGISTER_ES && from.reg.value <= ZYDIS_REGISTER_GS;
    }
    default:
      return false;
  }
}

bool is_inline_transfer(const isa::Instruction& instruction) {
  return instruction.mnemonic() == ZYDIS_MNEMONIC_SYSCALL || instruction.mnemonic() == ZYDIS_MNEMONIC_SYSRET;
}

bool changes_mode(const isa::Instruction& instruction) {
  return instruction.mnemonic() == ZYDIS_MNEMONIC_STAC || instruction.mnemonic() == ZYDIS_MNEMONIC_CLAC;
}

void Builder::emit_system(const DecodedInstruction& d) {
  switch (d.instruction->mnemonic()) {
    case ZYDIS_MNEMONIC_CLI:
      save_flags_if_live(d);
      return emit_flag(x86::kFlagIf, false);
    case ZYDIS_MNEMONIC_STI:
      return emit_sti(d);
    case ZYDIS_MNEMONIC_SWAPGS:
      return emit_swapgs();
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
      return emit_rdtsc(d);
    case ZYDIS_MNEMONIC_CPUID:
      return emit_cpuid(d);
    case ZYDIS_MNEMONIC_MOV: {
      if (is_cr8(d.instruction->operands[0])) return emit_write_priority(d);
      if (is_cr8(d.instruction->operands[1])) return emit_read_priority(d);
      return emit_read_selector(d);
    }
    case ZYDIS_MNEMONIC_STAC:
    case ZYDIS_MNEMONIC_CLAC:
      return emit_suspend_smap(d);
    case ZYDIS_MNEMONIC_RDFSBASE:
    case ZYDIS_MNEMONIC_RDGSBASE:
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
      return emit_segment_base(d);
    case ZYDIS_MNEMONIC_SYSCALL:
      return emit_syscall(d);
    case ZYDIS_MNEMONIC_SYSRET:
      return emit_sysret(d);
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
      return emit_popf(d);
    default:
      return emit_pushf(d);
  }
}

void Builder::emit_read_selector(const DecodedInstruction& d) {
  const auto to = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[0].reg.value));
  const x86::Segment segment = segment_of(d.instruction->operands[1].reg.value);
  const auto selector = word[Xbyak::RegExp(layout_.selector(segment))];
  if (d.instruction->zydis.operand_width == 16) {  // the rest of the register stays
    need(register_bit(to));
    e_.gs();
    e_.mov(Xbyak::Reg16(static_cast<int>(to)), selector);
    return changed(register_bit(to));
  }
  make_room(register_bit(to));
  e_.gs();
  e_.movzx(reg32(to), selector);
  replaced(register_bit(to));
}

void Builder::emit_swapgs() {
  const unsigned base = scratch(0);
  const unsigned kernel = scratch(0);
  e_.load(base, layout_.segment_base(x86::kGs));
  e_.load(kernel, layout_.kernel_gs_base());
  e_.store(layout_.segment_base(x86::kGs), kernel);
  e_.store(layout_.kernel_gs_base(), base);
}

void Builder::emit_rdtsc(const DecodedInstruction& d) {
  const bool ordered = d.instruction->mnemonic() == ZYDIS_MNEMONIC_RDTSCP;
  save_flags_if_live(d);
  make_room(ordered ? kRaxBit | kRdxBit | kRcxBit : kRaxBit | kRdxBit);
  if (ordered)
    e_.rdtscp();  // the guest's processor has it only if the host's does
  else
    e_.rdtsc();
  e_.shl(rdx, 32);
  e_.or_(rax, rdx);
  e_.gs();
  e_.add(rax, qword[Xbyak::RegExp(layout_.tsc_offset())]);
  e_.mov(rdx, rax);
  e_.shr(rdx, 32);
  e_.mov(eax, eax);
  replaced(kRaxBit | kRdxBit);
  if (!ordered) return;
  e_.gs();
  e_.mov(ecx, dword[Xbyak::RegExp(layout_.tsc_aux())]);
  replaced(kRcxBit);
}

/// RDFSBASE and its kin.
void Builder::emit_segment_base(const DecodedInstruction& d) {
  const ZydisMnemonic mnemonic = d.instruction->mnemonic();
  const bool fs = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_WRFSBASE;
  const uint32_t base = layout_.segment_base(fs ? x86::kFs : x86::kGs);
  const auto reg = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[0].reg.value));
  const bool wide = d.instruction->zydis.operand_width == 64;
  if (mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_RDGSBASE) {
    make_room(register_bit(reg));
    e_.gs();
    wide ? e_.mov(reg64(reg), ptr[Xbyak::RegExp(base)]) : e_.mov(reg32(reg), dword[Xbyak::RegExp(base)]);
    return replaced(register_bit(reg));
  }
  save_flags_if_live(d);
  need(register_bit(reg));
  const unsigned value = scratch(register_bit(reg));
  if (wide) {
    leave_unless_canonical(reg, value, add_site(SiteKind::kStep, &d));
    e_.store(base, reg);
  } else {
    e_.mov(reg32(value), reg32(reg));
    e_.store(base, value);
  }
}

/// `work` is another register.
void Builder::leave_unless_canonical(unsigned address, unsigned work, uint32_t site) {
  e_.mov(reg64(work), reg64(address));
  e_.shl(reg64(work), 16);
  e_.sar(reg64(work), 16);
  e_.cmp(reg64(work), reg64(address));
  leave_if(kConditionNe, site);
}

}  // namespace eidolon::engine::translate
