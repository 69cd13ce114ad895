// Lists of memory pieces, as preadv and pwritev take them.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

#include "device/storage/medium.h"

namespace eidolon::backend::image {

/// Of the pieces, the bytes [offset, offset + length).
[[nodiscard]] std::vector<iovec> cut(std::span<const iovec> parts, uint64_t offset, uint64_t length);
[[nodiscard]] uint64_t bytes_of(std::span<const iovec> parts);
/// Fills them with zeroes.
void clear(std::span<const iovec> parts);
/// Fills them with the first bytes of `from`, which has enough.
void copy_out(std::span<const uint8_t> from, std::span<const iovec> into);
[[nodiscard]] bool is_zero(std::span<const uint8_t> bytes);

// All of it, in as many system calls as that takes.
[[nodiscard]] device::storage::IoStatus read_all(int fd, uint64_t offset, std::span<const iovec> into);
[[nodiscard]] device::storage::IoStatus write_all(int fd, uint64_t offset, std::span<const iovec> from);
/// What errno means for a disk.
[[nodiscard]] device::storage::IoStatus status_of_errno();

}  // namespace eidolon::backend::image
