// The architectural state of one processor: what a snapshot holds, what every engine runs on, and what
// generated code reaches at fixed offsets.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "mmu/paging_controls.h"
#include "x86/descriptors.h"
#include "x86/msr.h"
#include "x86/registers.h"
#include "x86/rflags.h"

namespace eidolon::cpu {

/// A segment register with its hidden part, which stays what it was loaded with until the next load: unreal
/// mode is nothing special.
struct SegmentRegister {
  uint16_t selector = 0;
  uint32_t attributes = 0;  ///< x86/descriptors.h
  uint32_t limit = 0;       ///< in bytes, inclusive
  uint64_t base = 0;

  [[nodiscard]] bool usable() const { return (attributes & x86::kAttrUnusable) == 0; }
  [[nodiscard]] unsigned dpl() const { return (attributes & x86::kAttrDpl) >> x86::kAttrDplShift; }
};

struct TableRegister {
  uint64_t base = 0;
  uint16_t limit = 0xffff;
};

/// An XSAVE image in the standard format (SDM volume 1, 13.4): x87, SSE, AVX and AVX-512.
struct alignas(64) XsaveImage {
  static constexpr unsigned kSize = 2752;  ///< up to the end of Hi16_ZMM (2688), rounded up to 64
  std::array<uint8_t, kSize> bytes{};

  /// XSTATE_BV: the components that are not in their initial state.
  [[nodiscard]] uint64_t in_use() const {
    uint64_t bits;
    std::memcpy(&bits, bytes.data() + 512, sizeof bits);
    return bits;
  }
  void set_in_use(uint64_t bits) { std::memcpy(bytes.data() + 512, &bits, sizeof bits); }
};

enum class Activity : uint8_t {
  kRunning,
  kHalted,       ///< HLT or MWAIT: any interrupt resumes
  kWaitForSipi,  ///< an application processor after INIT
  kShutdown,     ///< triple fault
};

struct State {
  std::array<uint64_t, x86::kGprCount> gpr{};
  uint64_t rip = 0;
  uint64_t rflags = x86::kFlagFixed;

  std::array<SegmentRegister, x86::kSegmentCount> segment{};
  SegmentRegister ldtr;
  SegmentRegister tr;
  TableRegister gdtr;
  TableRegister idtr;

  mmu::PagingControls control;
  uint64_t cr2 = 0;
  std::array<uint64_t, 4> dr{};
  uint64_t dr6 = 0xffff0ff0;
  uint64_t dr7 = 0x400;
  uint64_t xcr0 = 1;

  Activity activity = Activity::kRunning;
  /// No interrupt before the instruction at this RIP has run (STI, MOV SS, POP SS); -1 if there is no shadow.
  uint64_t interrupt_shadow = kNoShadow;
  static constexpr uint64_t kNoShadow = ~uint64_t{0};
  bool shadow_blocks_debug = false;  ///< the shadow is that of MOV SS or POP SS: it also holds back #DB
  bool nmi_blocked = false;
  uint64_t pending_debug =
      0;  ///< DR6 bits of data breakpoints and held-back traps, due after the instruction

  // Model-specific registers; FS.base and GS.base are in `segment`, EFER in `control`.
  uint64_t star = 0, lstar = 0, cstar = 0, fmask = 0, kernel_gs_base = 0;
  uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  uint64_t pat = x86::kPatReset;
  uint64_t tsc_offset = 0;  ///< guest TSC = host TSC + offset
  uint64_t tsc_adjust = 0;
  uint64_t tsc_aux = 0;
  uint64_t misc_enable = 1;  ///< fast strings
  uint64_t mtrr_def_type = 0;
  std::array<uint64_t, 16> mtrr_variable{};  ///< base and mask alternate
  std::array<uint64_t, 11> mtrr_fixed{};
  uint64_t mcg_status = 0;
  uint64_t xss = 0;
  uint64_t debug_ctl = 0;

  XsaveImage fpu;

  [[nodiscard]] unsigned cpl() const { return segment[x86::kSs].dpl(); }
  [[nodiscard]] bool protected_mode() const { return (control.cr0 & x86::kCr0Pe) != 0; }
  [[nodiscard]] bool virtual_8086() const { return (rflags & x86::kFlagVm) != 0; }
  /// Real-address mode or virtual-8086 mode: selectors are paragraph numbers.
  [[nodiscard]] bool real_or_v86() const { return !protected_mode() || virtual_8086(); }
  [[nodiscard]] bool long_mode() const { return control.long_mode(); }
  /// 64-bit mode (not compatibility mode).
  [[nodiscard]] bool long_code() const {
    return long_mode() && (segment[x86::kCs].attributes & x86::kAttrLong) != 0;
  }
  [[nodiscard]] unsigned iopl() const { return (rflags & x86::kFlagIopl) >> x86::kFlagIoplShift; }

  /// The state after a power-on reset (SDM volume 3, 9.1.1): real mode at F000:FFF0.
  void reset();
};

}  // namespace eidolon::cpu
