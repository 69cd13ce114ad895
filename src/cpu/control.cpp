#include "cpu/control.h"

#include "base/bits.h"
#include "mmu/walk.h"
#include "x86/paging.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

constexpr uint64_t kCr0Defined =
    kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp | kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;

/// Whether IA-32e mode may be entered from here (SDM volume 3, 9.8.5 and 9.8.5.4): PAE on, not from a 64-bit
/// code segment, no 16-bit TSS in TR.
[[nodiscard]] bool may_enter_long_mode(const State& state) {
  const unsigned tss_type = state.tr.attributes & kAttrType;
  const bool tss16 = tss_type == kTss16Available || tss_type == kTss16Busy;
  return (state.control.cr4 & kCr4Pae) != 0 && (state.segment[kCs].attributes & kAttrLong) == 0 && !tss16;
}

}  // namespace

Outcome<> write_cr0(Cpu& cpu, uint64_t value) {
  State& state = cpu.state;
  if (value >> 32 != 0) return raise_gp();
  value = (value & kCr0Defined) | kCr0Et;
  if ((value & kCr0Pg) != 0 && (value & kCr0Pe) == 0) return raise_gp();
  if ((value & kCr0Nw) != 0 && (value & kCr0Cd) == 0) return raise_gp();

  mmu::PagingControls next = state.control;
  const uint64_t changed = state.control.cr0 ^ value;
  next.cr0 = value;
  if ((changed & kCr0Pg) != 0 && (value & kCr0Pg) != 0) {
    if ((next.efer & kEferLme) != 0) {
      if (!may_enter_long_mode(state)) return raise_gp();
      next.efer |= kEferLma;
    }
  } else if ((changed & kCr0Pg) != 0) {
    if (state.long_code() || (next.cr4 & kCr4PcidE) != 0) return raise_gp();
    next.efer &= ~kEferLma;
  }
  if (next.pae_paging() && (changed & (kCr0Pg | kCr0Cd | kCr0Nw)) != 0 &&
      !mmu::load_pdptes(cpu.memory, next)) {
    return raise_gp();
  }
  state.control = next;
  if ((changed & (kCr0Pg | kCr0Pe | kCr0Wp)) != 0) cpu.mmu.invalidate_all();
  return {};
}

namespace {
/// The PCID under which translations are cached (SDM volume 3, 4.10.1).
[[nodiscard]] uint16_t pcid_of(const mmu::PagingControls& controls) {
  return (controls.cr4 & kCr4PcidE) != 0 ? controls.cr3 & kCr3PcidMask : 0;
}
}  // namespace

Outcome<> write_cr3(Cpu& cpu, uint64_t value) {
  mmu::PagingControls next = cpu.state.control;
  const bool no_flush = (next.cr4 & kCr4PcidE) != 0 && (value & kCr3NoFlush) != 0;
  if (no_flush) value &= ~kCr3NoFlush;
  if (next.long_mode() && value >> kPhysicalAddressBits != 0) return raise_gp();
  const uint16_t from = pcid_of(next);
  next.cr3 = value;
  if (next.pae_paging() && !mmu::load_pdptes(cpu.memory, next)) return raise_gp();
  cpu.state.control = next;
  cpu.mmu.change_context(from, pcid_of(next), no_flush);
  return {};
}

Outcome<> write_cr4(Cpu& cpu, uint64_t value) {
  mmu::PagingControls next = cpu.state.control;
  if ((value & ~cpu.model.supported_cr4()) != 0) return raise_gp();
  const uint64_t changed = next.cr4 ^ value;
  if (next.long_mode() && (value & kCr4Pae) == 0) return raise_gp();
  if ((changed & value & kCr4PcidE) != 0 && (!next.long_mode() || (next.cr3 & kCr3PcidMask) != 0)) {
    return raise_gp();
  }
  next.cr4 = value;
  constexpr uint64_t kReloadsPdptes = kCr4Pae | kCr4Pge | kCr4Pse | kCr4Smep;
  if (next.pae_paging() && (changed & kReloadsPdptes) != 0 && !mmu::load_pdptes(cpu.memory, next)) {
    return raise_gp();
  }
  cpu.state.control = next;
  constexpr uint64_t kTranslation = kCr4Pae | kCr4Pge | kCr4Pse | kCr4Smep | kCr4Smap | kCr4PcidE;
  if ((changed & kTranslation) != 0) cpu.mmu.invalidate_all();
  return {};
}

bool valid_xcr0(uint64_t value, uint64_t supported) {
  if ((value & ~supported) != 0 || (value & kXcr0X87) == 0) return false;
  if ((value & kXcr0Avx) != 0 && (value & kXcr0Sse) == 0) return false;
  const uint64_t avx512 = value & kXcr0Avx512;
  return avx512 == 0 || (avx512 == kXcr0Avx512 && (value & kXcr0Avx) != 0);
}

Outcome<> write_xcr0(Cpu& cpu, uint64_t value) {
  if (!valid_xcr0(value, cpu.model.supported_xcr0())) return raise_gp();
  cpu.state.xcr0 = value;
  return {};
}

Outcome<> write_efer(Cpu& cpu, uint64_t value) {
  mmu::PagingControls& control = cpu.state.control;
  // LMA follows from CR0.PG and LME; what is written to it is ignored.
  value &= ~kEferLma;
  if ((value & ~cpu.model.supported_efer()) != 0) return raise_gp();
  const uint64_t changed = (control.efer ^ value) & ~kEferLma;
  if ((changed & kEferLme) != 0 && control.paging()) return raise_gp();
  control.efer = value | (control.efer & kEferLma);
  if ((changed & kEferNxe) != 0) cpu.mmu.invalidate_all();
  return {};
}

}  // namespace eidolon::cpu
