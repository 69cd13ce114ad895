// Puts a machine's memory into a snapshot. The machine stands.
#pragma once

#include <span>

#include "base/result.h"
#include "snapshot/file_writer.h"

namespace eidolon::snapshot {

enum class Packing : uint8_t { kPlain, kPacked };

/// The section kMemorySection, and what it leads to.
[[nodiscard]] Result<> write_memory(FileWriter& to, std::span<const Bytes> pieces, Packing packing);

}  // namespace eidolon::snapshot
