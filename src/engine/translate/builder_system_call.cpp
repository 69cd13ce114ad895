// SYSCALL from user code and SYSRET to it, in 64-bit mode, inline. Everything that could go another way (AC,
// TF, a return address that is not canonical, interrupts that wait for IF, a target that the jump cache does
// not know) leaves before anything has changed. Meaning: cpu/system_call.cpp.
//
// The target is a block of the same mode but for the privilege level: TF is clear before and after, and the
// rest of what a mode depends on does not change. Registers are settled at the end as for any jump; r9, r10
// and r11 are homeless, so they are free to work with.
#include "cpu/system_call.h"

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint32_t low(uint64_t flags) { return static_cast<uint32_t>(flags); }
constexpr unsigned kTarget = x86::kR10, kIndex = x86::kR11;
static_assert(offsetof(cpu::SegmentRegister, limit) == offsetof(cpu::SegmentRegister, attributes) + 4);
}  // namespace

void Builder::emit_syscall(const DecodedInstruction& d) {
  save_flags_if_live(d);
  settle_registers();
  const uint32_t site = add_site(SiteKind::kStep, &d);
  e_.gs();
  e_.test(dword[Xbyak::RegExp(layout_.rflags())], low(x86::kFlagAc));
  leave_if(kConditionNe, site);
  e_.load(kTarget, layout_.lstar());
  emit_jump_cache_look_up(kTarget, kIndex, site, block_->mode.other_privilege());

  emit_compose_flags(x86::kR9, x86::kRcx);
  e_.store(layout_.gpr(x86::kR11), x86::kR9);
  e_.gs();
  e_.mov(ecx, dword[Xbyak::RegExp(layout_.fmask())]);
  e_.not_(ecx);
  e_.and_(r9d, ecx);
  e_.or_(r9d, low(x86::kFlagFixed));
  emit_set_flags(x86::kR9, x86::kRcx);

  e_.gs();
  e_.movzx(r9d, word[Xbyak::RegExp(layout_.star() + 4)]);
  e_.and_(r9d, 0xfffc);
  emit_flat_segments(x86::kR9, x86::kR10, 0);
  e_.load_constant(x86::kRcx, rip_after(d));
  e_.note(Relocation::Kind::kAddress, 8);
  replaced(register_bit(x86::kRcx));
  emit_jump_cache_jump(kIndex);
}

void Builder::emit_sysret(const DecodedInstruction& d) {
  constexpr uint64_t kRestored = x86::kFlagsDefined & ~(x86::kFlagRf | x86::kFlagVm);
  save_flags_if_live(d);
  settle_registers();
  const uint32_t site = add_site(SiteKind::kStep, &d);
  leave_unless_canonical(x86::kRcx, x86::kR9, site);
  e_.load(x86::kR9, layout_.gpr(x86::kR11));
  e_.mov(r10d, r9d);
  e_.gs();
  e_.or_(r10d, dword[Xbyak::RegExp(layout_.rflags())]);
  e_.test(r10d, low(x86::kFlagAc | x86::kFlagTf));
  leave_if(kConditionNe, site);
  e_.compare32(layout_.deferred_events(), 0);
  leave_if(kConditionNe, site);
  emit_jump_cache_look_up(x86::kRcx, kIndex, site, block_->mode.other_privilege());

  e_.and_(r9d, low(kRestored));
  e_.or_(r9d, low(x86::kFlagFixed));
  emit_set_flags(x86::kR9, x86::kR10);
  e_.gs();
  e_.movzx(r9d, word[Xbyak::RegExp(layout_.star() + 6)]);
  e_.add(r9d, 16);
  e_.or_(r9d, 3);
  emit_flat_segments(x86::kR9, x86::kR10, 3);
  emit_jump_cache_jump(kIndex);
}

/// CS, whose selector is in `cs`, and SS, the descriptor behind it for SYSCALL and before it for SYSRET.
void Builder::emit_flat_segments(unsigned cs, unsigned work, unsigned cpl) {
  const auto selector = Xbyak::Reg32(static_cast<int>(cs));
  const auto load = [&](x86::Segment segment, uint32_t attributes) {
    e_.gs();
    e_.mov(word[Xbyak::RegExp(layout_.selector(segment))], selector.cvt16());
    e_.load_constant(work, uint64_t{cpu::kFlatLimit} << 32 | attributes);
    e_.store(layout_.attributes(segment), work);
    e_.gs();
    e_.mov(qword[Xbyak::RegExp(layout_.segment_base(segment))], 0);
  };
  const uint32_t common = cpu::flat_attributes(cpl);
  load(x86::kCs, common | x86::kAttrCode | x86::kAttrLong);
  cpl == 0 ? e_.add(selector, 8) : e_.sub(selector, 8);
  load(x86::kSs, common | x86::kAttrBig);
}

}  // namespace eidolon::engine::translate
