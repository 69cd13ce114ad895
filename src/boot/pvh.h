// Uncompressed ELF kernels by the PVH protocol (Xen: docs/misc/pvh.pandoc and
// xen/include/public/arch-x86/hvm/start_info.h): 32-bit entry from a note, a start_info in EBX.
#pragma once

#include "boot/loader.h"

namespace eidolon::boot {

/// The entry point that a PVH note names.
[[nodiscard]] std::optional<uint64_t> pvh_entry(Image kernel);
[[nodiscard]] Result<> load_pvh(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp);

}  // namespace eidolon::boot
