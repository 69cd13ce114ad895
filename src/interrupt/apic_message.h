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

struct ApicMessage {
  uint32_t destination = 0;
  bool logical = false;
  DeliveryMode mode = DeliveryMode::kFixed;
  uint8_t vector = 0;
  bool level = false;  ///< level-triggered: its EOI goes to the I/O APICs
};

/// Physical destination of every local APIC: the 8-bit form, and the 32-bit one of x2APIC.
inline constexpr uint32_t kBroadcastXApic = 0xff;
inline constexpr uint32_t kBroadcastX2Apic = 0xffffffff;

}  // namespace eidolon::interrupt
