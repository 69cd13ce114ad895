// Linux bzImages, by the 64-bit and the 32-bit boot protocol (Linux: Documentation/arch/x86/boot.rst).
#pragma once

#include "base/result.h"
#include "boot/image.h"
#include "boot/loader.h"

namespace eidolon::boot {

[[nodiscard]] bool is_linux(Image kernel);

/// What the setup header says, with the defaults of its protocol version filled in and everything checked
/// against the file.
struct LinuxKernel {
  uint16_t version;
  uint64_t part_offset;  ///< of the protected-mode part in the file
  uint64_t part_size;
  uint64_t load_address;
  uint64_t memory_needed;  ///< from the load address
  uint64_t initrd_max;     ///< highest address that an initrd's last byte may have
  uint64_t command_line_max;
  bool has_entry64;
};
[[nodiscard]] Result<LinuxKernel> parse_linux(Image kernel);

[[nodiscard]] Result<> load_linux(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp);

}  // namespace eidolon::boot
