// What a processor sees of the interrupt controllers: its local APIC, seen from the core's side.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/fault.h"

namespace eidolon::cpu {

/// Implemented by the local APIC (which passes on the 8259's vector in virtual-wire mode). Called from the
/// processor's own thread. Whoever makes a vector pending also raises Event::kInterrupt on the processor's
/// EventFlags.
class InterruptSource {
 public:
  virtual ~InterruptSource() = default;

  /// Whether a maskable interrupt could be taken now (IF aside).
  [[nodiscard]] virtual bool interrupt_pending() = 0;
  /// Takes the interrupt: the vector, or nullopt if it went away.
  [[nodiscard]] virtual std::optional<uint8_t> acknowledge() = 0;

  [[nodiscard]] virtual uint8_t task_priority() = 0;  ///< CR8: bits 7:4 of the TPR
  virtual void set_task_priority(uint8_t cr8) = 0;
  /// The task priority is EventFlags::priority of its processor: CR8 may be moved there.
  [[nodiscard]] virtual bool shares_priority() const { return false; }

  // IA32_APIC_BASE, the x2APIC range 0x800-0x8ff and IA32_TSC_DEADLINE; a fault value is #GP.
  [[nodiscard]] virtual Outcome<uint64_t> read_msr(uint32_t msr) = 0;
  [[nodiscard]] virtual Outcome<> write_msr(uint32_t msr, uint64_t value) = 0;
  /// The guest's TSC was set: it is the host's plus `offset` from now on. The APIC timer's deadline follows
  /// it.
  virtual void tsc_changed(uint64_t /*offset*/) {}
  /// INIT: everything but the base and the ID returns to its reset value.
  virtual void init() = 0;
};

}  // namespace eidolon::cpu
