// The interrupt bus: carries messages to the local APICs that they address, and EOIs to the I/O APICs.
// Wired before the machine runs and constant after, so it needs no lock. Physical destinations and clusters
// of x2APICs are looked up by ID; only flat and clustered xAPIC destinations and broadcasts look at every
// local APIC, without a lock. What a message is for is decided before the one lock of each APIC that takes
// it.
//
// While somebody else keeps the local APICs (cpu/apic_keeper.h), messages go there, as MSIs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "cpu/apic_keeper.h"
#include "interrupt/apic_message.h"

namespace eidolon::interrupt {

class IoApic;
class LocalApic;

class ApicBus {
 public:
  /// More than a machine's topology can give (x86/topology.h).
  static constexpr uint32_t kIds = 128;

  void connect(LocalApic& apic);
  void connect(IoApic& apic) { ios_.push_back(&apic); }

  /// Returns whether any local APIC took the message. `except` does not get it.
  bool deliver(const ApicMessage& message, const LocalApic* except = nullptr) const;
  /// A level-triggered vector was finished somewhere.
  void end_of_interrupt(uint8_t vector) const;
  /// What a pin of the I/O APIC sends, if it is level-triggered.
  void route(unsigned pin, const std::optional<ApicMessage>& message) const;

  // While all processors stand; devices may go on.
  /// False: `keeper` refuses one, and all are here as before.
  [[nodiscard]] bool lend(cpu::ApicKeeper& keeper);
  /// Nothing if none are lent.
  void take_back();

 private:
  template <typename Visit>
  void visit(const ApicMessage& message, const LocalApic* except, Visit&& visit) const;
  bool deliver_lowest_priority(const ApicMessage& message, const LocalApic* except) const;
  [[nodiscard]] std::optional<bool> pass_on(const ApicMessage& message) const;
  void take_all_back();

  std::vector<LocalApic*> locals_;
  std::array<LocalApic*, kIds> by_id_{};
  std::vector<IoApic*> ios_;
  /// Held while APICs move, and shared by who passes something on. Lock order: before any LocalApic's.
  mutable std::shared_mutex lending_;
  std::atomic<cpu::ApicKeeper*> keeper_{nullptr};  ///< null: they are the monitor's
};

}  // namespace eidolon::interrupt
