// Sensitive instructions that are a few moves on the processor's state, inline. Everything else about them
// (other privilege levels, the interrupt shadow where it could be seen) is left to cpu/, whose meaning this
// follows: cpu/flags.cpp, segment_moves.cpp, system_call.cpp, processor.cpp.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
Xbyak::Reg64 reg64(unsigned reg) { return Xbyak::Reg64(static_cast<int>(reg)); }
Xbyak::Reg32 reg32(unsigned reg) { return Xbyak::Reg32(static_cast<int>(reg)); }
constexpr uint16_t kRaxBit = 1u << x86::kRax;
constexpr uint16_t kRcxBit = 1u << x86::kRcx;
constexpr uint16_t kRdxBit = 1u << x86::kRdx;
constexpr uint16_t kRspBit = 1u << x86::kRsp;
constexpr auto kInterruptFlag = static_cast<uint32_t>(x86::kFlagIf);

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
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
      return kernel && in.zydis.operand_width == width && in.zydis.stack_width == width;
    case ZYDIS_MNEMONIC_SWAPGS:
      return kernel && mode.long_code();
    case ZYDIS_MNEMONIC_RDTSC:
      return mode.inline_tsc() && !mode.tsc_disabled();
    case ZYDIS_MNEMONIC_RDTSCP:
      return mode.inline_rdtscp() && !mode.tsc_disabled();
    case ZYDIS_MNEMONIC_MOV: {
      const ZydisDecodedOperand& to = in.operands[0];
      const ZydisDecodedOperand& from = in.operands[1];
      return to.type == ZYDIS_OPERAND_TYPE_REGISTER && from.type == ZYDIS_OPERAND_TYPE_REGISTER &&
             from.reg.value >= ZYDIS_REGISTER_ES && from.reg.value <= ZYDIS_REGISTER_GS &&
             in.zydis.operand_width >= 32;
    }
    default:
      return false;
  }
}

void Builder::emit_system(const DecodedInstruction& d) {
  switch (d.instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_CLI:
      save_flags_if_live(d);
      e_.gs();
      e_.and_(dword[Xbyak::RegExp(layout_.rflags())], ~kInterruptFlag);
      return;
    case ZYDIS_MNEMONIC_STI:
      return emit_sti(d);
    case ZYDIS_MNEMONIC_SWAPGS:
      return emit_swapgs();
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
      return emit_rdtsc(d);
    case ZYDIS_MNEMONIC_MOV: {
      const auto to = static_cast<unsigned>(isa::gpr_index(d.instruction.operands[0].reg.value));
      make_room(register_bit(to));
      e_.gs();
      e_.movzx(reg32(to),
               word[Xbyak::RegExp(layout_.selector(segment_of(d.instruction.operands[1].reg.value)))]);
      return replaced(register_bit(to));
    }
    default:
      return emit_pushf(d);
  }
}

/// Nothing is asked for between here and the end of the block, so the shadow over the next instruction needs
/// no note (Analysis sees to it that there is one). Interrupts that waited for IF are the monitor's business.
void Builder::emit_sti(const DecodedInstruction& d) {
  save_flags_if_live(d);
  e_.gs();
  e_.cmp(dword[Xbyak::RegExp(layout_.deferred_events())], 0);
  stubs_.push_back({.patch = e_.jump_if(kConditionNe), .site = add_site(SiteKind::kStep, &d)});
  e_.gs();
  e_.or_(dword[Xbyak::RegExp(layout_.rflags())], kInterruptFlag);
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
  const bool ordered = d.instruction.mnemonic() == ZYDIS_MNEMONIC_RDTSCP;
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

/// RFLAGS as PUSHF shows them: the system flags from State::rflags, the arithmetic ones from where the block
/// put them aside.
void Builder::emit_pushf(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  save_flags_if_live(d);
  const HostAddress to = host_address_of_stack(d, x86::kRsp, -width, stack_width(), true, kRspBit);
  busy_ |= register_bit(to.ours());
  const unsigned value = scratch(0);
  const unsigned part = scratch(0);
  constexpr auto kSystemFlags = static_cast<uint32_t>(0x3fffff & ~uint64_t{x86::kFlagsArithmetic} &
                                                      ~uint64_t{x86::kFlagRf} & ~uint64_t{x86::kFlagVm});
  e_.gs();
  e_.movzx(reg32(value), word[Xbyak::RegExp(layout_.saved_flags())]);
  e_.mov(reg32(part), reg32(value));
  e_.shr(reg32(value), 8);  // as LAHF: SF, ZF, AF, PF, CF and the fixed bit
  e_.and_(reg32(part), 1);  // as SETO
  e_.shl(reg32(part), 11);
  e_.or_(reg32(value), reg32(part));
  e_.gs();
  e_.mov(reg32(part), dword[Xbyak::RegExp(layout_.rflags())]);
  e_.and_(reg32(part), kSystemFlags);
  e_.or_(reg32(value), reg32(part));
  if (width == 8) {
    e_.mov(qword[at(to)], reg64(value));
    e_.lea(rsp, ptr[rsp - width]);
  } else {
    e_.mov(dword[at(to)], reg32(value));
    e_.lea(esp, ptr[rsp - width]);
  }
  changed(kRspBit);
}

}  // namespace eidolon::engine::translate
