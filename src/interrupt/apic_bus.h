// The interrupt bus: carries messages to the local APICs that they address, and EOIs to the I/O APICs.
// Wired before the machine runs and constant after, so it needs no lock. Physical destinations and clusters
// of x2APICs are looked up by ID; only flat and clustered xAPIC destinations and broadcasts look at every
// local APIC, without a lock. What a message is for is decided before the one lock of each APIC that takes
// it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

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

 private:
  template <typename Visit>
  void visit(const ApicMessage& message, const LocalApic* except, Visit&& visit) const;
  bool deliver_lowest_priority(const ApicMessage& message, const LocalApic* except) const;

  std::vector<LocalApic*> locals_;
  std::array<LocalApic*, kIds> by_id_{};
  std::vector<IoApic*> ios_;
};

}  // namespace eidolon::interrupt
