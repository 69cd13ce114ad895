// The checksums of snapshots: XXH3, 64 bits. It finds what a disk or a copy did to a file, not what somebody
// did who wanted to; readers check all values for that.
#pragma once

#include <cstdint>
#include <span>

namespace eidolon::snapshot {

using Bytes = std::span<const uint8_t>;

[[nodiscard]] uint64_t checksum(Bytes bytes);

}  // namespace eidolon::snapshot
