// Lists of memory pieces, as preadv and pwritev take them.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "device/storage/medium.h"
#include "device/storage/pieces.h"

namespace eidolon::backend::image {

using device::storage::part_of;
using device::storage::scatter;

[[nodiscard]] uint64_t bytes_of(std::span<const iovec> parts);
/// Fills them with zeroes.
void clear(std::span<const iovec> parts);
[[nodiscard]] bool is_zero(std::span<const uint8_t> bytes);

// All of it, in as many system calls as that takes.
[[nodiscard]] device::storage::IoStatus read_all(int fd, uint64_t offset, std::span<const iovec> into);
[[nodiscard]] device::storage::IoStatus write_all(int fd, uint64_t offset, std::span<const iovec> from);
/// What errno means for a disk.
[[nodiscard]] device::storage::IoStatus status_of_errno();

}  // namespace eidolon::backend::image
