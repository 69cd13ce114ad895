// The log pages of an NVMe controller (NVM Express 1.4, 5.14.1).
#pragma once

#include <cstdint>
#include <vector>

#include "device/storage/nvme_events.h"
#include "device/storage/nvme_namespace.h"

namespace eidolon::device::storage::nvme {

inline constexpr uint8_t kErrorLog = 1, kHealthLog = 2, kFirmwareLog = 3;

/// The whole page, or nothing if there is none of that number.
[[nodiscard]] std::vector<uint8_t> make_log_page(uint8_t number, const Events& events,
                                                 const Namespace::Counters& counters);

}  // namespace eidolon::device::storage::nvme
