// The architectural state between cpu::State and KVM's structures (KVM API, 4: KVM_GET_REGS and so on).
#pragma once

#include <linux/kvm.h>

#include <optional>
#include <vector>

#include "base/result.h"
#include "cpu/cpu.h"
#include "engine/kvm/vcpu.h"

namespace eidolon::engine::kvm {

/// What KVM had taken from the monitor, or raised itself, and not delivered yet: State has no place for it.
struct Undelivered {
  std::optional<uint8_t> interrupt;
  bool nmi = false;
  std::optional<cpu::Fault> exception;
};

class Registers {
 public:
  /// Fails if this KVM refuses what the processor's model needs.
  static Result<Registers> create(const VirtualMachine& machine, Vcpu& vcpu, const cpu::Cpu& cpu);

  /// Into KVM. False: it does not take this state; the errno says why.
  [[nodiscard]] bool put(const cpu::Cpu& cpu);
  /// Out of KVM; `state` keeps what KVM knows nothing of. False: KVM does not tell.
  [[nodiscard]] bool get(cpu::Cpu& cpu, Undelivered& undelivered);
  /// The guest has set its time-stamp counter: State::tsc_offset.
  bool follow_tsc(const cpu::State& state) { return put_tsc(state.tsc_offset); }
  /// Has the guest's translations forgotten, as the next entry finds other ones.
  [[nodiscard]] bool forget_translations();

 private:
  Registers(Vcpu& vcpu, size_t xsave_bytes) : vcpu_(&vcpu), xsave_(xsave_bytes) {}
  [[nodiscard]] bool put_extended(const cpu::State& state);
  [[nodiscard]] bool get_extended(cpu::State& state);
  [[nodiscard]] bool put_events(const cpu::Cpu& cpu);
  [[nodiscard]] bool get_events(cpu::Cpu& cpu, Undelivered& undelivered);
  [[nodiscard]] bool put_debug(const cpu::State& state);
  [[nodiscard]] bool get_debug(cpu::State& state);
  [[nodiscard]] bool put_msrs(const cpu::State& state);
  [[nodiscard]] bool get_msrs(cpu::State& state);
  [[nodiscard]] bool put_activity(const cpu::State& state);
  [[nodiscard]] bool get_activity(cpu::State& state);
  [[nodiscard]] bool put_tsc(uint64_t offset);
  [[nodiscard]] bool moves_tsc(uint64_t offset);

  Vcpu* vcpu_;
  std::vector<uint8_t> xsave_;  ///< room for KVM_GET_XSAVE2
  uint64_t components_ = 0;     ///< of the extended state that the guest has
  bool has_apic_ = false;       ///< KVM has the local APIC, and with it the processor's activity
  bool has_xsave2_ = false, has_xcr0_ = false, has_tsc_aux_ = false, has_tsc_offset_ = false;
  std::optional<uint64_t> tsc_offset_;  ///< that KVM has
};

}  // namespace eidolon::engine::kvm
