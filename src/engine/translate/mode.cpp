#include "engine/translate/mode.h"

#include "cpu/debug.h"

namespace eidolon::engine::translate {

using namespace x86;

namespace {
/// Reads and writes of any offset succeed, so that no check is needed.
bool unlimited(const cpu::SegmentRegister& s) {
  constexpr uint32_t kNeeded = kAttrPresent | kAttrCodeOrData | kAttrWritable;
  return s.usable() && s.limit == 0xffffffff &&
         (s.attributes & (kNeeded | kAttrCode | kAttrExpandDown)) == kNeeded;
}
bool flat(const cpu::SegmentRegister& s) { return s.base == 0 && unlimited(s); }
}  // namespace

std::optional<Mode> Mode::of(const cpu::Cpu& cpu) {
  const cpu::State& s = cpu.state;
  const uint64_t cr0 = s.control.cr0;
  const uint64_t cr4 = s.control.cr4;
  if ((s.rflags & (kFlagTf | kFlagVm)) != 0 || !s.protected_mode() || cpu::breakpoints_enabled(s)) return {};
  if (s.pending_debug != 0) return {};
  unsigned value = 0;
  if (s.long_code()) {
    value |= kLong;
  } else {
    const cpu::SegmentRegister& cs = s.segment[kCs];
    const bool cs_flat = cs.base == 0 && cs.limit == 0xffffffff && (cs.attributes & kAttrBig) != 0;
    if (!cs_flat || (s.segment[kSs].attributes & kAttrBig) == 0) return {};
    if (!flat(s.segment[kDs]) || !flat(s.segment[kEs]) || !flat(s.segment[kSs])) return {};
    if (unlimited(s.segment[kFs])) value |= kFsUnlimited;
    if (unlimited(s.segment[kGs])) value |= kGsUnlimited;
  }
  const bool user = s.cpl() == 3;
  // Alignment checks are rare enough to be stepped.
  if (user && (cr0 & kCr0Am) != 0 && (s.rflags & kFlagAc) != 0) return {};
  if (user) value |= kUser;
  if ((cr4 & kCr4Tsd) != 0) value |= kTscDisabled;
  if ((cr4 & kCr4Smap) != 0) value |= kSmap;
  if (cpu.data_view() == mmu::View::kSupervisorAc) value |= kAc;
  if ((cr4 & kCr4FsGsBase) != 0) value |= kFsGsBase;
  if ((s.control.efer & kEferSce) != 0) value |= kSyscall;
  if (cpu.tsc_source == nullptr) value |= kInlineTsc;
  if (cpu.interrupts != nullptr && cpu.interrupts->shares_priority()) value |= kInlinePriority;
  if (cpu.model.has(cpu::CpuidModel::Feature::kRdtscp)) value |= kRdtscp;

  if ((cr0 & (kCr0Em | kCr0Ts)) == 0) {
    value |= kX87;
    if ((cr4 & kCr4OsFxsr) != 0) value |= kSse;
    const bool xsave = (cr4 & kCr4OsXsave) != 0;
    constexpr uint64_t kYmm = kXcr0Sse | kXcr0Avx;
    if (xsave && (s.xcr0 & kYmm) == kYmm) {
      value |= kAvx;
      if ((s.xcr0 & kXcr0Avx512) == kXcr0Avx512) value |= kAvx512;
    }
  }
  return Mode(static_cast<uint16_t>(value));
}

std::optional<Mode> ModeFinder::of(const cpu::Cpu& cpu) {
  const cpu::State& s = cpu.state;
  Known& known = known_[s.cpl() == 3 ? 1 : 0];
  const Inputs inputs = inputs_of(cpu);
  if (inputs == known.inputs && s.pending_debug == 0) [[likely]]
    return known.mode;
  const auto mode = Mode::of(cpu);
  if (mode && mode->long_code()) known = {inputs, *mode};
  return mode;
}

ModeFinder::Inputs ModeFinder::inputs_of(const cpu::Cpu& cpu) {
  const cpu::State& s = cpu.state;
  return {.cr0 = s.control.cr0,
          .cr4 = s.control.cr4,
          .efer = s.control.efer,
          .xcr0 = s.xcr0,
          .dr7 = s.dr7,
          .rflags = s.rflags & (kFlagTf | kFlagVm | kFlagAc),
          .cs = s.segment[kCs].attributes,
          .ss = s.segment[kSs].attributes,
          .tsc_source = cpu.tsc_source,
          .interrupts = cpu.interrupts};
}

mmu::View Mode::view() const {
  if (user()) return mmu::View::kUser;
  return smap_suspended() ? mmu::View::kSupervisorAc : mmu::View::kSupervisor;
}

bool Mode::allows(isa::ExtendedState state) const {
  switch (state) {
    case isa::ExtendedState::kNone:
      return true;
    case isa::ExtendedState::kX87:
    case isa::ExtendedState::kMmx:
      return value_ & kX87;
    case isa::ExtendedState::kSse:
      return value_ & kSse;
    case isa::ExtendedState::kAvx:
      return value_ & kAvx;
    case isa::ExtendedState::kAvx512:
      return value_ & kAvx512;
  }
  return false;
}

}  // namespace eidolon::engine::translate
