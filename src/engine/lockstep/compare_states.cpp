#include <fmt/format.h>

#include <array>
#include <cstring>

#include "cpu/state_image.h"
#include "engine/lockstep/compare.h"
#include "x86/control_registers.h"

namespace eidolon::engine::lockstep {

namespace {

/// Collects the first difference.
class Comparison {
 public:
  void field(std::string_view name, uint64_t translate, uint64_t step) {
    if (translate == step) [[likely]]
      return;
    note(name, translate, step);
  }
  void segment(std::string_view name, const cpu::SegmentRegister& a, const cpu::SegmentRegister& b) {
    if (a.selector == b.selector && a.attributes == b.attributes && a.limit == b.limit && a.base == b.base)
        [[likely]]
      return;
    note(fmt::format("{} selector", name), a.selector, b.selector);
    note(fmt::format("{} attributes", name), a.attributes, b.attributes);
    note(fmt::format("{} limit", name), a.limit, b.limit);
    note(fmt::format("{} base", name), a.base, b.base);
  }
  template <typename Array>
  void array(std::string_view name, const Array& a, const Array& b) {
    for (size_t i = 0; i < std::size(a); ++i) {
      if (a[i] != b[i]) [[unlikely]]
        note(fmt::format("{}[{}]", name, i), a[i], b[i]);
    }
  }
  [[nodiscard]] std::optional<std::string> result() const {
    return text_.empty() ? std::nullopt : std::optional(text_);
  }

 private:
  void note(std::string_view name, uint64_t translate, uint64_t step) {
    if (translate == step) return;
    text_ += fmt::format("  {}: translate {:#x}, step {:#x}\n", name, translate, step);
  }
  std::string text_;
};

constexpr std::array<std::string_view, 16> kGprNames = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                        "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                        "r12", "r13", "r14", "r15"};
constexpr std::array<std::string_view, 6> kSegmentNames = {"es", "cs", "ss", "ds", "fs", "gs"};

void compare_msrs(Comparison& c, const cpu::State& a, const cpu::State& b) {
  c.field("STAR", a.star, b.star);
  c.field("LSTAR", a.lstar, b.lstar);
  c.field("CSTAR", a.cstar, b.cstar);
  c.field("FMASK", a.fmask, b.fmask);
  c.field("KERNEL_GS_BASE", a.kernel_gs_base, b.kernel_gs_base);
  c.field("SYSENTER_CS", a.sysenter_cs, b.sysenter_cs);
  c.field("SYSENTER_ESP", a.sysenter_esp, b.sysenter_esp);
  c.field("SYSENTER_EIP", a.sysenter_eip, b.sysenter_eip);
  c.field("PAT", a.pat, b.pat);
  c.field("TSC offset", a.tsc_offset, b.tsc_offset);
  c.field("TSC_ADJUST", a.tsc_adjust, b.tsc_adjust);
  c.field("TSC_AUX", a.tsc_aux, b.tsc_aux);
  c.field("MISC_ENABLE", a.misc_enable, b.misc_enable);
  c.field("MTRR_DEF_TYPE", a.mtrr_def_type, b.mtrr_def_type);
  c.array("variable MTRR", a.mtrr_variable, b.mtrr_variable);
  c.array("fixed MTRR", a.mtrr_fixed, b.mtrr_fixed);
  c.field("MCG_STATUS", a.mcg_status, b.mcg_status);
  c.field("XSS", a.xss, b.xss);
  c.field("DEBUGCTL", a.debug_ctl, b.debug_ctl);
}

}  // namespace

std::optional<std::string> compare_states(const cpu::State& a, const cpu::State& b, uint64_t flags_exact) {
  Comparison c;
  for (size_t i = 0; i < kGprNames.size(); ++i) c.field(kGprNames[i], a.gpr[i], b.gpr[i]);
  c.field("rip", a.rip, b.rip);
  const uint64_t flags = ~uint64_t{x86::kFlagsArithmetic} | flags_exact;
  c.field("rflags", a.rflags & flags, b.rflags & flags);
  for (size_t i = 0; i < kSegmentNames.size(); ++i) c.segment(kSegmentNames[i], a.segment[i], b.segment[i]);
  c.segment("ldtr", a.ldtr, b.ldtr);
  c.segment("tr", a.tr, b.tr);
  c.field("gdtr base", a.gdtr.base, b.gdtr.base);
  c.field("gdtr limit", a.gdtr.limit, b.gdtr.limit);
  c.field("idtr base", a.idtr.base, b.idtr.base);
  c.field("idtr limit", a.idtr.limit, b.idtr.limit);
  c.field("cr0", a.control.cr0, b.control.cr0);
  c.field("cr2", a.cr2, b.cr2);
  c.field("cr3", a.control.cr3, b.control.cr3);
  c.field("cr4", a.control.cr4, b.control.cr4);
  c.field("efer", a.control.efer, b.control.efer);
  c.array("pdpte", a.control.pdpte, b.control.pdpte);
  c.array("dr", a.dr, b.dr);
  c.field("dr6", a.dr6, b.dr6);
  c.field("dr7", a.dr7, b.dr7);
  c.field("xcr0", a.xcr0, b.xcr0);
  c.field("activity", static_cast<uint64_t>(a.activity), static_cast<uint64_t>(b.activity));
  // The translator leaves a shadow that is over standing until its RIP is stepped again: at most one
  // instruction more than due without interrupts. None may be missing.
  if (b.interrupt_shadow == b.rip) c.field("interrupt shadow", a.interrupt_shadow, b.interrupt_shadow);
  c.field("NMI blocked", a.nmi_blocked ? 1 : 0, b.nmi_blocked ? 1 : 0);
  c.field("pending debug", a.pending_debug, b.pending_debug);
  compare_msrs(c, a, b);
  return c.result();
}

std::optional<std::string> compare_extended(const cpu::XsaveImage& a, const cpu::XsaveImage& b,
                                            uint64_t components) {
  if (std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0) return std::nullopt;
  const cpu::image::Legacy legacy[] = {cpu::image::guest_legacy(a), cpu::image::guest_legacy(b)};
  for (size_t i = 0; i < cpu::image::kLegacySize; ++i) {
    if (legacy[0][i] == legacy[1][i]) continue;
    return fmt::format("  FXSAVE image at {}: translate {:#x}, step {:#x}\n", i, legacy[0][i], legacy[1][i]);
  }
  struct Component {
    uint64_t bit;
    size_t offset, size;
  };
  // The standard format: AVX, opmask, upper halves of ZMM0-15, ZMM16-31 (SDM volume 1, 13.5).
  static constexpr Component kComponents[] = {{x86::kXcr0Avx, 576, 256},
                                              {uint64_t{1} << 5, 1088, 64},
                                              {uint64_t{1} << 6, 1152, 512},
                                              {uint64_t{1} << 7, 1664, 1024}};
  for (const Component& component : kComponents) {
    if ((components & component.bit) == 0) continue;
    for (size_t i = component.offset; i < component.offset + component.size; ++i) {
      const unsigned left = (a.in_use() & component.bit) != 0 ? a.bytes[i] : 0u;
      const unsigned right = (b.in_use() & component.bit) != 0 ? b.bytes[i] : 0u;
      if (left != right)
        return fmt::format("  XSAVE image at {}: translate {:#x}, step {:#x}\n", i, left, right);
    }
  }
  return std::nullopt;
}

}  // namespace eidolon::engine::lockstep
