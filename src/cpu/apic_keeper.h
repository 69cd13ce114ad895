// Who keeps the local APICs while processors run, if that is not the monitor: a host's kernel, which then
// delivers interrupts between processors, and from timers, without asking (engine/kvm/kernel_apics.h).
//
// All of a machine's APICs are lent while its processors stand and come back when they stand again
// (interrupt/apic_bus.h). Meanwhile the monitor's own are shells: what arrives at them is passed on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

namespace eidolon::cpu {

/// A local APIC at one moment.
struct ApicImage {
  uint64_t base = 0;  ///< IA32_APIC_BASE
  /// By number (SDM volume 3, table 11-1: the offset divided by 16); the ID as the xAPIC has it.
  std::array<uint32_t, 64> registers{};
  uint64_t deadline = 0;  ///< IA32_TSC_DEADLINE
};

/// A message-signalled interrupt (SDM volume 3, 11.11), trigger mode and level in `data`.
struct Msi {
  uint64_t address;
  uint32_t data;
};

/// The 8259 pair behind a processor's LINT0, which stays the monitor's.
class ExternalInterrupts {
 public:
  virtual ~ExternalInterrupts() = default;
  [[nodiscard]] virtual bool external_pending() = 0;
  [[nodiscard]] virtual std::optional<uint8_t> acknowledge_external() = 0;
};

class ApicKeeper {
 public:
  virtual ~ApicKeeper() = default;
  /// While the processor stands. False: it is refused.
  [[nodiscard]] virtual bool put(uint32_t id, const ApicImage& image, ExternalInterrupts& external) = 0;
  [[nodiscard]] virtual bool get(uint32_t id, ApicImage& image) = 0;
  /// Like a device's write to the APICs' range. False: nobody has taken it. From any thread.
  virtual bool deliver(const Msi& message) = 0;
  /// What a level-triggered pin of the I/O APIC sends, so that its EOI is told; nothing: it is not one any
  /// more. From any thread.
  virtual void route(unsigned pin, const std::optional<Msi>& message) = 0;
  /// Who is told of the EOI of a vector that a pin sends.
  virtual void set_end_of_interrupt(std::function<void(uint8_t)> ended) = 0;

  // For instructions that the monitor does for a processor, on its thread. False: #GP.
  [[nodiscard]] virtual bool read_msr(uint32_t id, uint32_t msr, uint64_t& value) = 0;
  [[nodiscard]] virtual bool write_msr(uint32_t id, uint32_t msr, uint64_t value) = 0;
};

}  // namespace eidolon::cpu
