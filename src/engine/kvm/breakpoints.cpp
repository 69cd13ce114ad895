// Breakpoints of a debugger outside the guest, by the host processor's debug registers (KVM API, 4.87
// KVM_SET_GUEST_DEBUG). While KVM has them there, the guest's own are not: a guest that has breakpoints
// enabled when its state goes to KVM is stepped instead.
#include <utility>

#include "cpu/debug.h"
#include "cpu/event.h"
#include "engine/kvm/kvm_engine.h"

namespace eidolon::engine {

namespace {
constexpr size_t kDebugRegisters = 4;
constexpr uint64_t kDr7Fixed = 0x400;
/// Of one byte, at its execution.
constexpr uint64_t global_enable(size_t number) { return uint64_t{2} << (number * 2); }
}  // namespace

size_t KvmEngine::most_breakpoints() const {
  return machine_->system().extension(KVM_CAP_SET_GUEST_DEBUG) != 0 ? kDebugRegisters : 0;
}

void KvmEngine::follow_breakpoints() {
  const uint64_t changes = cpu_.breakpoints == nullptr ? 0 : cpu_.breakpoints->changes();
  if (std::exchange(breakpoints_seen_, changes) == changes) return;
  kvm_guest_debug debug{};
  watches_ = true;
  if (cpu_.breakpoints != nullptr) {
    debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
    debug.arch.debugreg[7] = kDr7Fixed;
    size_t number = 0;
    for (const uint64_t address : cpu_.breakpoints->addresses()) {
      if (number == kDebugRegisters) break;
      debug.arch.debugreg[number] = address;
      debug.arch.debugreg[7] |= global_enable(number++);
    }
    watches_ = number == cpu_.breakpoints->addresses().size();
  }
  if (vcpu_->call(KVM_SET_GUEST_DEBUG, &debug) != 0) watches_ = false;
}

bool KvmEngine::breakpoints_need_steps() const {
  return cpu_.breakpoints != nullptr && (!watches_ || cpu::breakpoints_enabled(cpu_.state));
}

/// A breakpoint was met, or it is a #DB of the guest's own, of which KVM tells instead of delivering it.
void KvmEngine::take_debug_exception() {
  const auto& debug = run_.debug.arch;
  const bool at_breakpoint = (debug.dr6 & cpu::kDr6BreakpointMask) != 0;
  if (at_breakpoint && cpu_.breakpoints != nullptr && cpu_.breakpoints->has(debug.pc)) {
    cpu_.at_breakpoint = true;
    cpu_.events.raise(cpu::kEventStop);
    return;
  }
  const uint64_t due = debug.dr6 & (cpu::kDr6DebugAccess | cpu::kDr6SingleStep);
  const auto vector = static_cast<uint8_t>(debug.exception);
  take_back();
  (void)cpu::deliver_fault(cpu_,
                           {.vector = vector, .address = due, .trap = (due & cpu::kDr6SingleStep) != 0});
}

}  // namespace eidolon::engine
