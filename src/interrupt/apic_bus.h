// The interrupt bus: carries messages to the local APICs that they address, and EOIs to the I/O APICs.
// Wired before the machine runs and constant after, so it needs no lock.
#pragma once

#include <cstdint>
#include <vector>

#include "interrupt/apic_message.h"

namespace eidolon::interrupt {

class IoApic;
class LocalApic;

class ApicBus {
 public:
  void connect(LocalApic& apic) { locals_.push_back(&apic); }
  void connect(IoApic& apic) { ios_.push_back(&apic); }

  /// Returns whether any local APIC took the message.
  bool deliver(const ApicMessage& message) const;
  /// A shorthand IPI: to all, or to all but `except`.
  void broadcast(const ApicMessage& message, const LocalApic* except) const;
  /// A level-triggered vector was finished somewhere.
  void end_of_interrupt(uint8_t vector) const;

 private:
  bool deliver_lowest_priority(const ApicMessage& message) const;

  std::vector<LocalApic*> locals_;
  std::vector<IoApic*> ios_;
};

}  // namespace eidolon::interrupt
