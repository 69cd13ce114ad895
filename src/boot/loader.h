// Loading a kernel: which kind it is, from its contents, and the loader of that kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "boot/image.h"
#include "cpu/state.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

/// Who unpacks a bzImage.
enum class KernelUnpack : uint8_t {
  kHost,   ///< we do, if it can be done (linux_unpacked.h)
  kGuest,  ///< the unpacker that is in it
};

struct BootRequest {
  std::string kernel_path;
  /// For a Multiboot kernel, its modules: "file arguments,file arguments".
  std::optional<std::string> initrd_path;
  std::string command_line;
  uint64_t rsdp = 0;         ///< address of the ACPI root pointer, 0 if there is none
  bool force_32bit = false;  ///< a bzImage by the 32-bit protocol even if it has a 64-bit entry
  KernelUnpack unpack = KernelUnpack::kHost;
  bool text_screen = false;  ///< a VGA adapter shows 80x25 text
};

enum class KernelKind : uint8_t { kLinux, kPvh, kMultiboot };

/// Reads the files, places them in `memory` and leaves `bsp` at the entry point, as the kernel's protocol has
/// it. RAM has been added by add_ram. On failure the memory's contents are undefined.
[[nodiscard]] Result<> load_kernel(const BootRequest& request, memory::GuestMemory& memory, cpu::State& bsp);

/// An initrd, or one of several modules of a Multiboot kernel.
struct Module {
  Image bytes;
  std::string command;  ///< its name and arguments, for Multiboot
};

/// The same on file contents, for callers who have them.
struct LoadInput {
  Image kernel;
  std::vector<Module> modules;  ///< Linux and PVH take at most one
  std::string command_line;
  std::string kernel_name;  ///< first word of a Multiboot command line
  uint64_t rsdp = 0;
  bool force_32bit = false;
  KernelUnpack unpack = KernelUnpack::kHost;
  bool text_screen = false;
};
[[nodiscard]] Result<> load_image(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp);
[[nodiscard]] Result<KernelKind> detect_kernel(Image kernel);

}  // namespace eidolon::boot
