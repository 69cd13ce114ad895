#include "cpu/system_call.h"

#include <utility>

#include "base/bits.h"
#include "cpu/linear.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

/// AMD's processors have SYSCALL outside 64-bit mode, and no SYSENTER in IA-32e mode; Intel's the reverse.
[[nodiscard]] bool is_amd(const Cpu& cpu) { return cpu.model.is_amd(); }

enum class CodeKind : uint8_t { k32, k64 };

/// The flat segments that these instructions load without a look at any descriptor. SS gives the CPL.
void load_flat(State& state, uint16_t cs, uint16_t ss, unsigned cpl, CodeKind kind) {
  const uint32_t width = kind == CodeKind::k64 ? x86::kAttrLong : x86::kAttrBig;
  state.segment[x86::kCs] = {cs, flat_attributes(cpl) | x86::kAttrCode | width, kFlatLimit, 0};
  state.segment[x86::kSs] = {ss, flat_attributes(cpl) | x86::kAttrBig, kFlatLimit, 0};
}

[[nodiscard]] uint16_t with_rpl3(uint64_t selector) { return static_cast<uint16_t>(selector | 3); }

/// Outside IA-32e mode, where AMD's processors take the target from STAR and keep no flags.
void syscall_legacy(State& state, uint64_t next_rip) {
  const auto selector = static_cast<uint16_t>(bits(state.star, 47, 32) & 0xfffc);
  state.gpr[x86::kRcx] = next_rip;
  load_flat(state, selector, static_cast<uint16_t>(selector + 8), 0, CodeKind::k32);
  replace_flags(state, 0, x86::kFlagIf | x86::kFlagVm | x86::kFlagRf);
  state.rip = bits(state.star, 31, 0);
}

Outcome<> check_sysenter_cs(const State& state) {
  if ((state.sysenter_cs & 0xfffc) == 0) return raise_gp();
  return {};
}

}  // namespace

Outcome<> syscall(Cpu& cpu, uint64_t next_rip) {
  State& state = cpu.state;
  if ((state.control.efer & x86::kEferSce) == 0) return raise_ud();
  if (!state.long_code()) {
    if (!state.protected_mode() || !is_amd(cpu)) return raise_ud();
    if (!state.long_mode()) {
      syscall_legacy(state, next_rip);
      return {};
    }
  }
  const uint64_t target = state.long_code() ? state.lstar : state.cstar;
  const auto selector = static_cast<uint16_t>(bits(state.star, 47, 32) & 0xfffc);
  state.gpr[x86::kRcx] = next_rip;
  state.gpr[x86::kR11] = state.rflags & ~x86::kFlagRf;
  replace_flags(state, 0, (state.fmask & mask_below(32)) | x86::kFlagRf);
  load_flat(state, selector, static_cast<uint16_t>(selector + 8), 0, CodeKind::k64);
  state.rip = target;
  return {};
}

Outcome<> sysret(Cpu& cpu, unsigned operand_size) {
  State& state = cpu.state;
  if ((state.control.efer & x86::kEferSce) == 0) return raise_ud();
  if (!state.long_code() && (!state.protected_mode() || !is_amd(cpu))) return raise_ud();
  if (state.virtual_8086() || state.cpl() != 0) return raise_gp();
  const bool to_long = operand_size == 8 && state.long_code();
  const uint64_t target = state.gpr[x86::kRcx];
  if (to_long && !is_canonical(target)) return raise_gp();

  if (state.long_mode()) {
    constexpr uint64_t kRestored = x86::kFlagsDefined & ~(x86::kFlagRf | x86::kFlagVm);
    replace_flags(state, state.gpr[x86::kR11], kRestored | x86::kFlagRf | x86::kFlagVm);
    state.rflags &= ~(x86::kFlagRf | x86::kFlagVm);
  } else {
    state.rflags |= x86::kFlagIf;
  }
  const uint64_t selector = bits(state.star, 63, 48);
  load_flat(state, with_rpl3(selector + (to_long ? 16 : 0)), with_rpl3(selector + 8), 3,
            to_long ? CodeKind::k64 : CodeKind::k32);
  state.rip = to_long ? target : target & mask_below(32);
  return {};
}

Outcome<> sysenter(Cpu& cpu) {
  State& state = cpu.state;
  if (!state.protected_mode()) return raise_gp();
  const bool long_mode = state.long_mode();
  if (long_mode && is_amd(cpu)) return raise_ud();
  if (auto checked = check_sysenter_cs(state); !checked) return checked;
  const auto selector = static_cast<uint16_t>(state.sysenter_cs & 0xfffc);
  replace_flags(state, 0, x86::kFlagIf | x86::kFlagVm | x86::kFlagRf);
  load_flat(state, selector, static_cast<uint16_t>(selector + 8), 0,
            long_mode ? CodeKind::k64 : CodeKind::k32);
  const uint64_t mask = mask_below(long_mode ? 64 : 32);
  state.gpr[x86::kRsp] = state.sysenter_esp & mask;
  state.rip = state.sysenter_eip & mask;
  return {};
}

Outcome<> sysexit(Cpu& cpu, unsigned operand_size) {
  State& state = cpu.state;
  if (!state.protected_mode() || state.virtual_8086() || state.cpl() != 0) return raise_gp();
  if (state.long_mode() && is_amd(cpu)) return raise_ud();
  if (auto checked = check_sysenter_cs(state); !checked) return checked;
  const bool to_long = operand_size == 8;
  const uint64_t rsp = state.gpr[x86::kRcx];
  const uint64_t rip = state.gpr[x86::kRdx];
  if (to_long && (!is_canonical(rsp) || !is_canonical(rip))) return raise_gp();

  const uint64_t cs = (state.sysenter_cs & 0xfffc) + (to_long ? 32 : 16);
  load_flat(state, with_rpl3(cs), with_rpl3(cs + 8), 3, to_long ? CodeKind::k64 : CodeKind::k32);
  const uint64_t mask = mask_below(to_long ? 64 : 32);
  state.gpr[x86::kRsp] = rsp & mask;
  state.rip = rip & mask;
  return {};
}

Outcome<> swapgs(Cpu& cpu) {
  State& state = cpu.state;
  if (!state.long_code()) return raise_ud();
  if (state.cpl() != 0) return raise_gp();
  std::swap(state.segment[x86::kGs].base, state.kernel_gs_base);
  return {};
}

}  // namespace eidolon::cpu
