// The data structures of the IDENTIFY command (NVM Express 1.4, 5.15.2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "device/storage/nvme_namespace.h"

namespace eidolon::device::storage::nvme {

inline constexpr uint16_t kPciVendor = 0x1234, kPciDevice = 0x4e56;  ///< of nobody; drivers go by the class
inline constexpr unsigned kErrorEntries = 64;                        ///< of the error log
inline constexpr unsigned kEventRequests = 4;                        ///< asynchronous ones at a time

using IdentifyData = std::array<uint8_t, 4096>;

[[nodiscard]] IdentifyData identify_controller(const std::string& serial, const Namespace& space);
[[nodiscard]] IdentifyData identify_namespace(const Namespace& space);
/// The namespaces with numbers above `after`.
[[nodiscard]] IdentifyData identify_list(uint32_t after);
/// The namespace's names: a UUID made from the serial number, the same each time.
[[nodiscard]] IdentifyData identify_descriptors(const std::string& serial);

inline constexpr const char* kFirmware = "1.0";

}  // namespace eidolon::device::storage::nvme
