#include "cpu/possible_state.h"

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/linear.h"
#include "cpu/msr.h"
#include "x86/paging.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

constexpr uint64_t kCr0Defined =
    kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp | kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;
constexpr uint32_t kAttrDefined = 0xf0ff | kAttrUnusable;
constexpr uint64_t kHigh = ~uint64_t{0xffffffff};

bool has(uint64_t value, uint64_t bits) { return (value & bits) == bits; }

bool flags_possible(const State& s) {
  if ((s.rflags & ~(kFlagsDefined | kFlagFixed)) != 0 || !has(s.rflags, kFlagFixed)) return false;
  return (s.rflags & kFlagVm) == 0 || (s.protected_mode() && !s.long_mode());
}

bool control_possible(const State& s, const CpuidModel& model) {
  const mmu::PagingControls& c = s.control;
  const bool lma = (c.efer & kEferLma) != 0;
  if ((c.cr0 & ~kCr0Defined) != 0 || (c.cr4 & ~model.supported_cr4()) != 0) return false;
  if ((c.efer & ~(model.supported_efer() | kEferLma)) != 0 || c.cr3 >> kPhysicalAddressBits != 0)
    return false;
  if (has(c.cr0, kCr0Pg) && !has(c.cr0, kCr0Pe)) return false;
  if (has(c.cr0, kCr0Nw) && !has(c.cr0, kCr0Cd)) return false;
  if (lma != (has(c.efer, kEferLme) && c.paging())) return false;
  if (lma && !has(c.cr4, kCr4Pae)) return false;
  return lma || !has(c.cr4, kCr4PcidE);
}

/// Those that count: PAE paging goes by its four copies of entries in memory.
bool pdptes_possible(const State& s) {
  if (!s.control.paging() || s.long_mode() || !has(s.control.cr4, kCr4Pae)) return true;
  constexpr uint64_t kReserved = 0x1e6 | ~((uint64_t{1} << kPhysicalAddressBits) - 1);
  for (const uint64_t entry : s.control.pdpte)
    if ((entry & kPtePresent) != 0 && (entry & kReserved) != 0) return false;
  return true;
}

bool segments_possible(const State& s) {
  for (unsigned i = 0; i < kSegmentCount; ++i) {
    const SegmentRegister& segment = s.segment[i];
    if ((segment.attributes & ~kAttrDefined) != 0) return false;
    if (segment.usable() && !has(segment.attributes, kAttrPresent | kAttrCodeOrData)) return false;
    if (i >= kFs ? !is_canonical(segment.base) : (segment.base & kHigh) != 0) return false;
  }
  return s.segment[kCs].usable();
}

/// SS's privilege level is the processor's, and that of CS has to agree.
bool privilege_possible(const State& s) {
  const SegmentRegister& code = s.segment[kCs];
  if (!s.protected_mode()) return s.cpl() == 0;
  if (s.virtual_8086()) return s.cpl() == 3;
  if (s.long_mode() && has(code.attributes, kAttrLong | kAttrBig)) return false;
  const bool conforming = has(code.attributes, kAttrCode | kAttrConforming);
  return conforming ? code.dpl() <= s.cpl() : code.dpl() == s.cpl();
}

bool tables_possible(const State& s) {
  const unsigned task = s.tr.attributes & kAttrType;
  const bool ldt =
      (s.ldtr.attributes & (kAttrType | kAttrCodeOrData | kAttrPresent)) == (kLdt | kAttrPresent);
  if ((s.ldtr.attributes & ~kAttrDefined) != 0 || (s.ldtr.usable() && !ldt)) return false;
  if ((s.tr.attributes & ~kAttrDefined) != 0 || (s.tr.attributes & kAttrCodeOrData) != 0) return false;
  if (task != kTss32Busy && (task != kTss16Busy || s.long_mode())) return false;
  return is_canonical(s.ldtr.base) && is_canonical(s.tr.base) && is_canonical(s.gdtr.base) &&
         is_canonical(s.idtr.base);
}

bool debug_registers_possible(const State& s) {
  State scratch;
  if (!write_debug_register(scratch, 6, s.dr6) || scratch.dr6 != s.dr6) return false;
  if (!write_debug_register(scratch, 7, s.dr7) || scratch.dr7 != s.dr7) return false;
  constexpr uint64_t kTaskSwitch = 1u << 15;
  return (s.pending_debug & ~(kDr6BreakpointMask | kDr6SingleStep | kTaskSwitch)) == 0;
}

bool memory_types_possible(const State& s) {
  State scratch;
  const auto good = [&scratch](uint32_t msr, uint64_t value) {
    return write_memory_type_msr(scratch, msr, value).has_value();
  };
  for (unsigned i = 0; i < s.mtrr_variable.size(); ++i)
    if (!good(kMsrMtrrPhysBase0 + i, s.mtrr_variable[i])) return false;
  bool fixed = good(kMsrMtrrFix64k, s.mtrr_fixed[0]) && good(kMsrMtrrFix16k80000, s.mtrr_fixed[1]) &&
               good(kMsrMtrrFix16kA0000, s.mtrr_fixed[2]);
  for (unsigned i = 3; i < s.mtrr_fixed.size(); ++i)
    fixed = fixed && good(kMsrMtrrFix4kC0000 + i - 3, s.mtrr_fixed[i]);
  return fixed && good(kMsrMtrrDefType, s.mtrr_def_type) && good(kMsrPat, s.pat);
}

/// As write_msr checks them.
bool other_msrs_possible(const State& s) {
  for (const uint64_t address : {s.lstar, s.cstar, s.kernel_gs_base, s.sysenter_esp, s.sysenter_eip})
    if (!is_canonical(address)) return false;
  if (((s.fmask | s.sysenter_cs | s.tsc_aux) & kHigh) != 0) return false;
  return s.misc_enable <= 1 && s.debug_ctl <= 3 && s.mcg_status == 0 && s.xss == 0;
}

}  // namespace

const char* impossible_part(const State& s, const CpuidModel& model) {
  if (!control_possible(s, model)) return "CR0, CR3, CR4 or EFER";
  if (!flags_possible(s)) return "RFLAGS";
  if (!pdptes_possible(s)) return "page directory pointer";
  if (!segments_possible(s)) return "segment";
  if (!privilege_possible(s)) return "privilege level";
  if (!s.long_code() && (s.rip & kHigh) != 0) return "RIP";
  if (!tables_possible(s)) return "descriptor table or task register";
  if (!debug_registers_possible(s)) return "debug register";
  if (!memory_types_possible(s)) return "MTRR or PAT";
  if (!other_msrs_possible(s)) return "model-specific register";
  if (!valid_xcr0(s.xcr0, model.supported_xcr0() | kXcr0X87)) return "XCR0";
  if (s.activity > Activity::kShutdown) return "activity state";
  return nullptr;
}

}  // namespace eidolon::cpu
