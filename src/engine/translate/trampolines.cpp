#include "engine/translate/trampolines.h"

namespace eidolon::engine::translate {

namespace {

using namespace Xbyak::util;
constexpr unsigned kCalleeSaved[] = {x86::kRbx, x86::kRbp, x86::kR12, x86::kR13, x86::kR14, x86::kR15};

/// Loads flags and all general registers from the frame and jumps to Frame::resume.
void emit_load_guest(Emitter& e, const Layout& layout) {
  e.load(x86::kRax, layout.flags());
  e.add(al, 0x7f);  // AL = 1 sets OF, AL = 0 clears it
  e.sahf();
  for (unsigned reg = 0; reg < 16; ++reg) e.load(reg, layout.host_gpr(reg));
  e.gs();
  e.jmp(e.ptr[Xbyak::RegExp(layout.resume())]);
}

/// Calls the handler on the monitor's stack; what it returns is in rax. The jump that is returned is for 0.
uint32_t emit_call(Emitter& e, const Layout& layout, Frame& frame, ExitHandler handler) {
  e.load(x86::kRsp, layout.monitor_rsp());
  e.load_constant(x86::kRdi, reinterpret_cast<uint64_t>(&frame));
  e.load_constant(x86::kRax, reinterpret_cast<uint64_t>(handler));
  e.call(rax);
  e.test(rax, rax);
  return e.jump_if(kConditionE);
}

}  // namespace

Trampolines emit_trampolines(Emitter& e, const Layout& layout, Frame& frame, ExitHandlers handlers) {
  Trampolines t{};
  t.enter = e.at();
  for (unsigned reg : kCalleeSaved) e.push(Xbyak::Reg64(static_cast<int>(reg)));
  e.sub(rsp, 8);
  e.store(layout.monitor_rsp(), x86::kRsp);
  t.load = e.at();
  emit_load_guest(e, layout);

  e.align(16);
  t.exit = e.at();
  for (unsigned reg = 0; reg < 16; ++reg) e.store(layout.host_gpr(reg), reg);
  e.lahf();
  e.seto(al);
  e.movzx(eax, ax);
  e.store(layout.flags(), x86::kRax);
  const uint32_t leave = emit_call(e, layout, frame, handlers.any);
  e.store(layout.resume(), x86::kRax);
  emit_load_guest(e, layout);

  e.align(16);
  t.exit_settled = e.at();
  const auto in_registers = [](auto move) {
    for (unsigned reg = 0; reg < 16; ++reg)
      if ((kHomeless >> reg & 1) == 0) move(reg);
  };
  in_registers([&](unsigned reg) { e.store(layout.gpr(reg), reg); });
  const uint32_t leave_settled = emit_call(e, layout, frame, handlers.settled);
  e.store(layout.jump_target(), x86::kRax);
  in_registers([&](unsigned reg) { e.load(reg, layout.gpr(reg)); });
  e.gs();
  e.jmp(e.ptr[Xbyak::RegExp(layout.jump_target())]);

  e.patch_here(leave);
  e.patch_here(leave_settled);
  e.add(rsp, 8);
  for (unsigned i = std::size(kCalleeSaved); i-- > 0;) e.pop(Xbyak::Reg64(static_cast<int>(kCalleeSaved[i])));
  e.ret();
  e.align(64);
  t.end = e.at();
  return t;
}

}  // namespace eidolon::engine::translate
