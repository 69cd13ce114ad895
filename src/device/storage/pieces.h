// Between bytes in a row and a list of pieces of memory.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::device::storage {

// As far as both go.
void scatter(std::span<const uint8_t> bytes, std::span<const iovec> into);
void gather(std::span<const iovec> from, std::span<uint8_t> bytes);

/// The part [offset, offset + length) of the pieces; shorter if they end.
[[nodiscard]] std::vector<iovec> part_of(std::span<const iovec> pieces, uint64_t offset, uint64_t length);

}  // namespace eidolon::device::storage
