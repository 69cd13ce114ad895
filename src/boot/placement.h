// Copying what was loaded into guest memory, with errors that say what does not fit.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "boot/image.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

/// Fails unless [base, base + length) is usable RAM outside the boot area and the firmware's range.
[[nodiscard]] Result<> check_kernel_range(const memory::GuestMemory& memory, uint64_t base, uint64_t length);

/// Places a kernel's bytes at `base` and zeroes up to `memory_length`. The range has been checked or is
/// checked now.
[[nodiscard]] Result<> load_kernel_bytes(memory::GuestMemory& memory, uint64_t base, Image bytes,
                                         uint64_t memory_length);

/// Puts an initrd or a module as high as it fits, page-aligned, into [floor, ceiling) of the RAM above 1 MiB,
/// and returns its address.
[[nodiscard]] Result<uint64_t> place_high(memory::GuestMemory& memory, Image bytes, uint64_t floor,
                                          uint64_t ceiling, std::string_view what);

/// The command line with its NUL at kCommandLine. `limit` is the kernel's, without the NUL.
[[nodiscard]] Result<> place_command_line(memory::GuestMemory& memory, std::string_view text, uint64_t limit);

/// A table of ours into the boot area.
[[nodiscard]] Result<> place_table(memory::GuestMemory& memory, uint64_t base, Image bytes);

}  // namespace eidolon::boot
