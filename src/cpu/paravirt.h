// What an enlightened guest may ask of its processor beyond the architecture. One implementation for each
// interface (src/paravirt); the processor only passes on what belongs there.
#pragma once

#include <cstdint>

#include "cpu/fault.h"

namespace eidolon::cpu {

/// All members are called on the processor's thread.
class Paravirt {
 public:
  virtual ~Paravirt() = default;
  [[nodiscard]] virtual bool has_msr(uint32_t msr) const = 0;
  [[nodiscard]] virtual Outcome<uint64_t> read_msr(uint32_t msr) = 0;
  [[nodiscard]] virtual Outcome<> write_msr(uint32_t msr, uint64_t value) = 0;
  /// VMCALL or VMMCALL, at any privilege level; arguments and answer are in State.
  virtual void hypercall() = 0;
  /// The time-stamp counter was set.
  virtual void tsc_changed() = 0;
  /// The processor is halted and about to sleep, and has woken.
  virtual void sleeps() = 0;
  virtual void wakes() = 0;
};

}  // namespace eidolon::cpu
