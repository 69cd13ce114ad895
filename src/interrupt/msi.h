// Message-signalled interrupts: a write to the local APICs' range, as the message that it stands for (SDM
// volume 3, 11.11).
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/apic_keeper.h"
#include "interrupt/apic_message.h"

namespace eidolon::interrupt {

/// The message of a 32-bit write of `data` to `address`; nothing if no local APIC listens there.
[[nodiscard]] constexpr std::optional<ApicMessage> msi_message(uint64_t address, uint32_t data) {
  constexpr uint64_t kRange = 0xfee;
  if (address >> 20 != kRange) return std::nullopt;
  return ApicMessage{.destination = widened_destination(static_cast<uint8_t>(address >> 12)),
                     .logical = (address >> 2 & 1) != 0,
                     .mode = static_cast<DeliveryMode>(data >> 8 & 7),
                     .vector = static_cast<uint8_t>(data),
                     .level = false};
}

/// The other way around; nothing if the destination does not fit into one's eight bits.
[[nodiscard]] constexpr std::optional<cpu::Msi> msi_of(const ApicMessage& message) {
  constexpr uint32_t kLogical = 1u << 2, kAssert = 1u << 14, kLevel = 1u << 15;
  const uint32_t destination = message.destination == kBroadcast ? 0xff : message.destination;
  if (destination > 0xff || (destination == 0xff && message.destination != kBroadcast)) return std::nullopt;
  return cpu::Msi{.address = uint64_t{0xfee} << 20 | destination << 12 | (message.logical ? kLogical : 0),
                  .data = uint32_t{message.vector} | static_cast<uint32_t>(message.mode) << 8 | kAssert |
                          (message.level ? kLevel : 0)};
}

}  // namespace eidolon::interrupt
