// CPUID, PAUSE, and MOV to and from CR8, inline. Meaning: cpu/processor.cpp, cpu/control_moves.cpp.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint16_t kAskedBits = 1u << x86::kRax | 1u << x86::kRcx;
constexpr uint16_t kAnswerBits = kAskedBits | 1u << x86::kRbx | 1u << x86::kRdx;
}  // namespace

/// The answer is in the cache of them if the monitor has given it before (Impl::remember_cpuid). With an event
/// pending the monitor gives it: CPUID serializes, so code that another processor wrote before it is the code
/// that runs behind it, and the processor's own stores before it are seen before anything behind it.
void Builder::emit_cpuid(const DecodedInstruction& d) {
  save_flags_if_live(d);
  make_room(kAnswerBits);
  need(kAskedBits);
  const unsigned entry = scratch(kAnswerBits);
  const unsigned work = scratch(kAnswerBits);
  const uint32_t site = add_site(SiteKind::kStep, &d);
  const auto field = [&](size_t offset) { return dword[reg64(entry) + (layout_.cpuid() + offset)]; };

  e_.mfence();
  e_.compare32(layout_.events(), 0);
  leave_if(kConditionNe, site);
  e_.mov(reg32(entry), eax);
  e_.shr(reg32(entry), 28);
  e_.add(reg32(entry), eax);
  e_.lea(reg32(entry), ptr[reg64(entry) + rcx * 8]);
  e_.and_(reg32(entry), Frame::kCpuidEntries - 1);
  e_.shl(reg32(entry), 5);
  static_assert(sizeof(CpuidEntry) == 1u << 5);
  const auto leave_if_different = [&](const Xbyak::Reg32& value, size_t offset) {
    e_.gs();
    e_.cmp(value, field(offset));
    leave_if(kConditionNe, site);
  };
  leave_if_different(eax, offsetof(CpuidEntry, leaf));
  leave_if_different(ecx, offsetof(CpuidEntry, subleaf));
  e_.gs();
  e_.mov(reg32(work), dword[Xbyak::RegExp(layout_.cr4())]);
  leave_if_different(reg32(work), offsetof(CpuidEntry, cr4));
  e_.gs();
  e_.mov(reg32(work), dword[Xbyak::RegExp(layout_.xcr0())]);
  leave_if_different(reg32(work), offsetof(CpuidEntry, xcr0));

  const auto load = [&](const Xbyak::Reg32& to, size_t offset) {
    e_.gs();
    e_.mov(to, field(offsetof(CpuidEntry, result) + offset));
  };
  load(eax, offsetof(cpu::CpuidResult, eax));
  load(ebx, offsetof(cpu::CpuidResult, ebx));
  load(ecx, offsetof(cpu::CpuidResult, ecx));
  load(edx, offsetof(cpu::CpuidResult, edx));
  replaced(kAnswerBits);
}

void Builder::emit_pause(const DecodedInstruction& d) {
  save_flags_if_live(d);
  const uint32_t site = add_site(SiteKind::kStep, &d);
  e_.gs();
  e_.dec(dword[Xbyak::RegExp(layout_.pauses_left())]);
  leave_if(kConditionE, site);
  e_.pause();
}

void Builder::emit_read_priority(const DecodedInstruction& d) {
  const auto to = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[0].reg.value));
  save_flags_if_live(d);
  make_room(register_bit(to));
  e_.gs();
  e_.movzx(reg32(to), byte[Xbyak::RegExp(layout_.task_priority())]);
  e_.shr(reg32(to), 4);
  replaced(register_bit(to));
}

/// With a vector waiting above the new priority the monitor does the same once more, and has the APIC look.
/// The exchange is the barrier that cpu::SharedPriority asks for.
void Builder::emit_write_priority(const DecodedInstruction& d) {
  const auto from = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[1].reg.value));
  save_flags_if_live(d);
  need(register_bit(from));
  const unsigned task = scratch(register_bit(from));
  const unsigned before = scratch(register_bit(from));
  const uint32_t site = add_site(SiteKind::kStep, &d);
  e_.cmp(reg64(from), 15);
  leave_if(kConditionA, site);
  e_.mov(reg32(task), reg32(from));
  e_.shl(reg32(task), 4);
  e_.mov(reg32(before), reg32(task));
  e_.gs();
  e_.xchg(reg8(before), byte[Xbyak::RegExp(layout_.task_priority())]);
  e_.gs();
  e_.cmp(reg8(task), byte[Xbyak::RegExp(layout_.waiting_priority())]);
  leave_if(kConditionB, site);
}

}  // namespace eidolon::engine::translate
