// The number that tells a guest which life of its machine this is (Microsoft: Virtual Machine Generation ID):
// 16 random bytes in a page of memory that the guest can only read, found by ACPI (boot/acpi_dsdt.cpp). When
// the machine goes on from a snapshot, the number is another one and a general-purpose event says so: a guest
// then makes its random numbers anew, for another machine may have gone on from the same snapshot.
#pragma once

#include "base/result.h"
#include "device/chipset/pm_block.h"
#include "memory/guest_memory.h"

namespace eidolon::device {

class GenerationId {
 public:
  static constexpr uint64_t kBase = 0xfef00000;  ///< between the local APIC and the firmware
  static constexpr unsigned kBytes = 16;
  static constexpr unsigned kEvent = 5;  ///< of GPE0

  explicit GenerationId(PmBlock& events) : events_(events) {}

  /// Puts the page into `memory`, with a number. Once.
  [[nodiscard]] Result<> place(memory::GuestMemory& memory);
  /// After place(): another number, and the guest is told.
  [[nodiscard]] Result<> renew();

 private:
  [[nodiscard]] Result<> draw();

  PmBlock& events_;
  uint8_t* number_ = nullptr;
};

}  // namespace eidolon::device
