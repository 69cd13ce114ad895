// Multiboot 1 kernels (Multiboot Specification 0.6.96): ELF files, or raw images whose header has the
// addresses.
#pragma once

#include "boot/loader.h"

namespace eidolon::boot {

/// Offset of the header in the file.
[[nodiscard]] std::optional<uint64_t> multiboot_header(Image kernel);
[[nodiscard]] Result<> load_multiboot(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp);

}  // namespace eidolon::boot
