// A bzImage without its own unpacker: the ELF file packed in it is unpacked on the host, loaded where the
// unpacker would have put it, and entered at its 64-bit entry with the state that the unpacker leaves: paging
// on with an identity map, RSI = boot_params. (Linux: Documentation/arch/x86/boot.rst, payload_offset;
// arch/x86/kernel/head_64.S says that a 64-bit loader may come there.)
//
// The unpacker's other work: it moves the kernel to a random place (KASLR), which is not done here, and
// switches five-level paging on, which the processor does not have.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "boot/linux.h"

namespace eidolon::boot {

/// The entry point; nothing, with memory as it was, if this kernel has to unpack itself: a packing that we do
/// not know, or anything about it that is not as Linux makes it. Fails if what is packed is damaged. The
/// kernel's range of memory has been checked.
[[nodiscard]] Result<std::optional<uint64_t>> load_unpacked_linux(Image file, const LinuxKernel& kernel,
                                                                  memory::GuestMemory& memory);

}  // namespace eidolon::boot
