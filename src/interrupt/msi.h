// Message-signalled interrupts: a write to the local APICs' range, as the message that it stands for (SDM
// volume 3, 11.11).
#pragma once

#include <cstdint>
#include <optional>

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

}  // namespace eidolon::interrupt
