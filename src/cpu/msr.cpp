#include "cpu/msr.h"

#include "base/try.h"
#include "cpu/control.h"
#include "cpu/linear.h"
#include "cpu/tsc.h"

namespace eidolon::cpu {

namespace {

using namespace x86;
using Feature = CpuidModel::Feature;

// Registers of one vendor or another that operating systems read, and a few that they write, without asking
// CPUID. They exist here with the value of a machine that has nothing to say.
struct HarmlessMsr {
  uint32_t msr;
  uint64_t value;
  bool ignores_writes;
};
constexpr HarmlessMsr kIntelMsrs[] = {
    {kMsrPlatformId, 0, false},
    {0x2a, 0, false},                // EBL_CR_POWERON
    {0x35, 0x10001, false},          // CORE_THREAD_COUNT: one and one
    {kMsrFeatureControl, 1, false},  // locked, everything off
    {0x79, 0, true},                 // BIOS_UPDT_TRIG: no update is ever newer
    {kMsrBiosUpdateSignature, uint64_t{1} << 32, true},
    {kMsrArchCapabilities, kArchCapabilityRdclNo, false},
    {0xcd, 3, false},   // FSB_FREQ
    {0xce, 0, false},   // PLATFORM_INFO
    {0x198, 0, false},  // PERF_STATUS
    {0x199, 0, true},   // PERF_CTL
    {0x1db, 0, false},  // last branch and last exception records, empty
    {0x1dc, 0, false},
    {0x1dd, 0, false},
    {0x1de, 0, false},
};
constexpr HarmlessMsr kAmdMsrs[] = {
    {kMsrBiosUpdateSignature, 0x01000065, false},
    {0xc0010010, 0, true},         // SYSCFG
    {0xc0010015, 1u << 24, true},  // HWCR: the TSC counts at the P0 frequency
    {0xc0010020, 0, true},         // PATCH_LOADER
    {0xc001001f, 0, true},         // NB_CFG
    {0xc0010055, 0, true},         // INT_PENDING
    {0xc0010058, 0, false},        // MMIO configuration base: none
    {0xc0010112, 0, false},        // SMM TSEG
    {0xc0010113, 0, false},
    {0xc0010114, 0, false},  // VM_CR
    {0xc0010117, 0, false},  // VM_HSAVE_PA
    {0xc0011020, 0, true},   // LS_CFG
    {0xc0011021, 0, true},   // IC_CFG
    {0xc0011022, 0, true},   // DC_CFG
    {0xc0011029, 2, true},   // DE_CFG: LFENCE serializes
    {0xc001102a, 0, true},   // BU_CFG2
};

[[nodiscard]] const HarmlessMsr* find_harmless(const Cpu& cpu, uint32_t msr) {
  const auto find = [msr](const auto& table) -> const HarmlessMsr* {
    for (const HarmlessMsr& row : table) {
      if (row.msr == msr) return &row;
    }
    return nullptr;
  };
  return cpu.model.is_amd() ? find(kAmdMsrs) : find(kIntelMsrs);
}

/// What the local APIC answers for.
[[nodiscard]] bool belongs_to_apic(const Cpu& cpu, uint32_t msr) {
  if (msr == kMsrApicBase) return true;
  if (msr == kMsrTscDeadline) return cpu.model.has(Feature::kTscDeadline);
  return msr >= kMsrX2ApicFirst && msr <= kMsrX2ApicLast && cpu.model.has(Feature::kX2Apic);
}

Outcome<> set_canonical(uint64_t& reg, uint64_t value) {
  if (!is_canonical(value)) return raise_gp();
  reg = value;
  return {};
}

void move_tsc(Cpu& cpu, uint64_t delta) {
  cpu.state.tsc_offset += delta;
  cpu.state.tsc_adjust += delta;
  cpu.release_extended_state();
  if (cpu.interrupts != nullptr) cpu.interrupts->tsc_changed(cpu.state.tsc_offset);
  if (cpu.paravirt != nullptr) cpu.paravirt->tsc_changed();
}

/// Writes to the counter move TSC_ADJUST along with it (SDM volume 3, 17.17.3), and the other way round.
void write_tsc(Cpu& cpu, uint64_t value) { move_tsc(cpu, value - guest_tsc(cpu)); }

void write_tsc_adjust(Cpu& cpu, uint64_t value) { move_tsc(cpu, value - cpu.state.tsc_adjust); }

/// BTS and PEBS are not there; only fast strings can be switched, and that changes nothing else.
constexpr uint64_t kMiscEnableFixed = 1u << 11 | 1u << 12;
constexpr uint64_t kMiscEnableWritable = 1;
constexpr uint64_t kDebugCtlDefined = 3;  ///< LBR and BTF

}  // namespace

Outcome<uint64_t> read_msr(Cpu& cpu, uint32_t msr) {
  const State& state = cpu.state;
  if (belongs_to_apic(cpu, msr)) {
    if (cpu.interrupts == nullptr) return raise_gp();
    cpu.release_extended_state();
    return cpu.interrupts->read_msr(msr);
  }
  if (cpu.paravirt != nullptr && cpu.paravirt->has_msr(msr)) {
    cpu.release_extended_state();
    return cpu.paravirt->read_msr(msr);
  }
  switch (msr) {
    case kMsrTsc:
      return guest_tsc(cpu);
    case kMsrTscAdjust:
      return state.tsc_adjust;
    case kMsrTscAux:
      if (!cpu.model.has(Feature::kRdtscp) && !cpu.model.has(Feature::kRdpid)) return raise_gp();
      return state.tsc_aux;
    case kMsrSysenterCs:
      return state.sysenter_cs;
    case kMsrSysenterEsp:
      return state.sysenter_esp;
    case kMsrSysenterEip:
      return state.sysenter_eip;
    case kMsrEfer:
      return state.control.efer;
    case kMsrStar:
      return state.star;
    case kMsrLstar:
      return state.lstar;
    case kMsrCstar:
      return state.cstar;
    case kMsrFmask:
      return state.fmask;
    case kMsrFsBase:
      return state.segment[kFs].base;
    case kMsrGsBase:
      return state.segment[kGs].base;
    case kMsrKernelGsBase:
      return state.kernel_gs_base;
    case kMsrMcgCap:
      return 0;  // no banks
    case kMsrMcgStatus:
      return state.mcg_status;
    case kMsrDebugCtl:
      return state.debug_ctl;
    case kMsrMiscEnable:
      if (cpu.model.is_amd()) return raise_gp();
      return state.misc_enable | kMiscEnableFixed;
    case kMsrXss:
      if (!cpu.model.has(Feature::kXsaves)) return raise_gp();
      return state.xss;
    default:
      break;
  }
  if (is_memory_type_msr(msr)) return read_memory_type_msr(state, msr);
  const HarmlessMsr* harmless = find_harmless(cpu, msr);
  if (harmless == nullptr) return raise_gp();
  return harmless->value;
}

Outcome<> write_msr(Cpu& cpu, uint32_t msr, uint64_t value) {
  State& state = cpu.state;
  if (belongs_to_apic(cpu, msr)) {
    if (cpu.interrupts == nullptr) return raise_gp();
    cpu.release_extended_state();
    return cpu.interrupts->write_msr(msr, value);
  }
  if (cpu.paravirt != nullptr && cpu.paravirt->has_msr(msr)) {
    cpu.release_extended_state();
    return cpu.paravirt->write_msr(msr, value);
  }
  switch (msr) {
    case kMsrTsc:
      write_tsc(cpu, value);
      return {};
    case kMsrTscAdjust:
      write_tsc_adjust(cpu, value);
      return {};
    case kMsrTscAux:
      if (!cpu.model.has(Feature::kRdtscp) && !cpu.model.has(Feature::kRdpid)) return raise_gp();
      if (value >> 32 != 0) return raise_gp();
      state.tsc_aux = value;
      return {};
    case kMsrSysenterCs:
      state.sysenter_cs = value & 0xffffffff;
      return {};
    case kMsrSysenterEsp:
      return set_canonical(state.sysenter_esp, value);
    case kMsrSysenterEip:
      return set_canonical(state.sysenter_eip, value);
    case kMsrEfer:
      return write_efer(cpu, value);
    case kMsrStar:
      state.star = value;
      return {};
    case kMsrLstar:
      return set_canonical(state.lstar, value);
    case kMsrCstar:
      return set_canonical(state.cstar, value);
    case kMsrFmask:
      state.fmask = value & 0xffffffff;
      return {};
    case kMsrFsBase:
      return set_canonical(state.segment[kFs].base, value);
    case kMsrGsBase:
      return set_canonical(state.segment[kGs].base, value);
    case kMsrKernelGsBase:
      return set_canonical(state.kernel_gs_base, value);
    case kMsrMcgStatus:
      // Only cleared by software (SDM volume 3, 16.3.1.2).
      if (value != 0) return raise_gp();
      state.mcg_status = 0;
      return {};
    case kMsrDebugCtl:
      if ((value & ~kDebugCtlDefined) != 0) return raise_gp();
      state.debug_ctl = value;
      return {};
    case kMsrMiscEnable:
      if (cpu.model.is_amd()) return raise_gp();
      state.misc_enable = value & kMiscEnableWritable;
      return {};
    case kMsrXss:
      if (!cpu.model.has(Feature::kXsaves) || value != 0) return raise_gp();
      state.xss = value;
      return {};
    default:
      break;
  }
  if (is_memory_type_msr(msr)) return write_memory_type_msr(state, msr, value);
  const HarmlessMsr* harmless = find_harmless(cpu, msr);
  if (harmless == nullptr || !harmless->ignores_writes) return raise_gp();
  return {};
}

}  // namespace eidolon::cpu
