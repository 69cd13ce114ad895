// What travels between I/O APIC and local APICs: an interrupt message (SDM volume 3, 11.6 and 11.11).
#pragma once

#include <cstdint>

namespace eidolon::interrupt {

enum class DeliveryMode : uint8_t {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kNmi = 4,
  kInit = 5,
  kStartup = 6,
  kExtInt = 7,
};

/// Destination of every local APIC, whatever its mode. Those of eight bits (xAPIC, I/O APIC, MSI) say 0xff.
inline constexpr uint32_t kBroadcast = 0xffffffff;
[[nodiscard]] constexpr uint32_t widened_destination(uint8_t destination) {
  return destination == 0xff ? kBroadcast : destination;
}

struct ApicMessage {
  uint32_t destination = 0;  ///< of 32 bits
  bool logical = false;
  DeliveryMode mode = DeliveryMode::kFixed;
  uint8_t vector = 0;
  bool level = false;  ///< level-triggered: its EOI goes to the I/O APICs
};

}  // namespace eidolon::interrupt
