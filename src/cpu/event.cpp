// Which event is entered how; faults on the way (SDM volume 3, 6.14 and 6.15, table 6-5).
#include "cpu/event.h"

#include "base/try.h"
#include "cpu/event_real.h"
#include "cpu/gate_interrupt.h"
#include "cpu/segmentation.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

enum class Severity : uint8_t { kBenign, kContributory, kPageFault };

[[nodiscard]] Severity severity(uint8_t vector) {
  switch (vector) {
    case x86::kDivideError:
    case x86::kInvalidTss:
    case x86::kSegmentNotPresent:
    case x86::kStackFault:
    case x86::kGeneralProtection:
      return Severity::kContributory;
    case x86::kPageFault:
      return Severity::kPageFault;
    default:
      return Severity::kBenign;
  }
}

[[nodiscard]] bool becomes_double_fault(uint8_t first, uint8_t second) {
  switch (severity(first)) {
    case Severity::kContributory:
      return severity(second) == Severity::kContributory;
    case Severity::kPageFault:
      return severity(second) != Severity::kBenign;
    case Severity::kBenign:
      return false;
  }
  return false;
}

/// RF is set in the saved flags of faults, so that an instruction breakpoint does not hit again when the
/// instruction is restarted; the fault of that breakpoint itself leaves it as it is (17.3.1.1).
[[nodiscard]] bool sets_resume_flag(const Fault& fault) {
  constexpr uint64_t kBreakpoints = 0xf;
  switch (fault.vector) {
    case x86::kDebug:
      return !fault.trap && (fault.address & kBreakpoints) == 0;
    case x86::kNmi:
    case x86::kBreakpoint:
    case x86::kOverflow:
    case x86::kDoubleFault:
    case x86::kMachineCheck:
      return false;
    default:
      return true;
  }
}

/// #DB on its way to the handler: no further debug register protection, last-branch recording and branch
/// stepping (17.2.4, 17.4.1).
void leave_debug_features(State& state) {
  constexpr uint64_t kGeneralDetect = 1u << 13;
  constexpr uint64_t kLbrAndBtf = 3;
  state.dr7 &= ~kGeneralDetect;
  state.debug_ctl &= ~kLbrAndBtf;
}

/// What an exception leaves in registers before its handler is entered.
void note_cause(State& state, const Fault& fault) {
  if (fault.vector == x86::kPageFault) state.cr2 = fault.address;
  if (fault.vector == x86::kDebug) {
    constexpr uint64_t kBreakpoints = 0xf;
    state.dr6 = (state.dr6 & ~kBreakpoints) | fault.address;
    leave_debug_features(state);
  }
}

/// Enters the handler, whatever the mode; a fault carries EXT if `external`.
Outcome<> enter(Cpu& cpu, const GateEvent& event, bool external) {
  Outcome<> done =
      cpu.state.protected_mode() ? enter_through_idt(cpu, event) : enter_through_ivt(cpu, event.vector);
  if (done) {
    cpu.state.interrupt_shadow = State::kNoShadow;
    cpu.state.shadow_blocks_debug = false;
    return done;
  }
  Fault fault = done.error();
  if (external && severity(fault.vector) == Severity::kContributory) fault.error |= x86::kErrorExternal;
  return std::unexpected(fault);
}

bool shut_down(Cpu& cpu) {
  cpu.state.activity = Activity::kShutdown;
  return false;
}

/// After an event that a task gate took: the new task's debug trap comes before its first instruction. (After
/// an instruction that switched tasks, the engine asks debug_trap.)
bool deliver_task_trap(Cpu& cpu) {
  constexpr uint64_t kTaskSwitchTrap = 1u << 15;  // BT of DR6
  if ((cpu.state.pending_debug & kTaskSwitchTrap) == 0) return true;
  cpu.state.pending_debug &= ~kTaskSwitchTrap;
  return deliver_fault(cpu, {.vector = x86::kDebug, .address = kTaskSwitchTrap, .trap = true});
}

[[nodiscard]] GateEvent event_of(const Fault& fault) {
  GateEvent event{.vector = fault.vector, .set_resume_flag = sets_resume_flag(fault)};
  if (x86::pushes_error_code(fault.vector)) event.error = fault.error;
  return event;
}

}  // namespace

bool deliver_fault(Cpu& cpu, const Fault& fault) {
  Fault current = fault;
  while (true) {
    note_cause(cpu.state, current);
    const Outcome<> done = enter(cpu, event_of(current), true);
    if (done) return deliver_task_trap(cpu);
    const Fault& next = done.error();
    if (current.vector == x86::kDoubleFault) return shut_down(cpu);
    current = becomes_double_fault(current.vector, next.vector) ? Fault{.vector = x86::kDoubleFault} : next;
  }
}

bool deliver_interrupt(Cpu& cpu, uint8_t vector) {
  cpu.state.activity = Activity::kRunning;
  if (vector == x86::kNmi) cpu.state.nmi_blocked = true;
  const Outcome<> done = enter(cpu, {.vector = vector}, true);
  return done ? deliver_task_trap(cpu) : deliver_fault(cpu, done.error());
}

Outcome<> software_interrupt(Cpu& cpu, uint8_t vector, InterruptInstruction instruction) {
  State& state = cpu.state;
  if (state.protected_mode() && state.virtual_8086() && instruction == InterruptInstruction::kIntN) {
    if (EIDOLON_TRY(is_redirected(cpu, vector))) return enter_redirected(cpu, vector);
    if (state.iopl() < 3) return raise_gp();
  }
  const bool privileged = instruction == InterruptInstruction::kInt1;
  EIDOLON_TRY(enter(cpu, {.vector = vector, .check_dpl = !privileged}, privileged));
  if (privileged) leave_debug_features(state);
  return {};
}

}  // namespace eidolon::cpu
