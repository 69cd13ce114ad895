#include "boot/loader.h"

#include <ranges>

#include "base/try.h"
#include "boot/elf.h"
#include "boot/linux.h"
#include "boot/multiboot.h"
#include "boot/pvh.h"
#include "boot/read_file.h"

namespace eidolon::boot {

namespace {

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

/// "file arguments,file arguments" of a Multiboot kernel, or one path.
std::vector<std::string> module_words(const std::string& request, KernelKind kind) {
  std::vector<std::string> words;
  if (kind != KernelKind::kMultiboot) return {request};
  for (const auto part : std::views::split(request, ',')) words.emplace_back(part.begin(), part.end());
  return words;
}

}  // namespace

Result<KernelKind> detect_kernel(Image kernel) {
  if (is_linux(kernel)) return KernelKind::kLinux;
  if (is_elf(kernel)) EIDOLON_TRY(parse_elf(kernel));  // says what is wrong with it
  if (pvh_entry(kernel)) return KernelKind::kPvh;
  if (multiboot_header(kernel)) return KernelKind::kMultiboot;
  if (is_elf(kernel))
    return fail(
        "it is an ELF file without a PVH note or a Multiboot header; use a Linux built with CONFIG_PVH, "
        "or its bzImage");
  return fail(
      "it is not a kernel: it has no Linux boot header, PVH note or Multiboot header; name a bzImage, a "
      "vmlinux or a Multiboot kernel");
}

Result<> load_image(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp) {
  switch (EIDOLON_TRY(detect_kernel(input.kernel))) {
    case KernelKind::kLinux:
      return load_linux(input, memory, bsp);
    case KernelKind::kPvh:
      return load_pvh(input, memory, bsp);
    case KernelKind::kMultiboot:
      return load_multiboot(input, memory, bsp);
  }
  return {};
}

Result<> load_kernel(const BootRequest& request, memory::GuestMemory& memory, cpu::State& bsp) {
  const auto in_kernel = [&request](Error error) {
    return Error{fmt::format("cannot boot {}: {}", request.kernel_path, error.message)};
  };
  const uint64_t limit = memory.ram_bytes();
  const auto kernel = EIDOLON_TRY(read_file(request.kernel_path, "kernel", limit));
  const auto kind = detect_kernel(kernel);
  if (!kind) return std::unexpected(in_kernel(kind.error()));

  std::vector<std::vector<uint8_t>> files;  // what the modules' spans look at
  LoadInput input{.kernel = kernel,
                  .modules = {},
                  .command_line = request.command_line,
                  .kernel_name = base_name(request.kernel_path),
                  .rsdp = request.rsdp,
                  .force_32bit = request.force_32bit,
                  .unpack = request.unpack,
                  .text_screen = request.text_screen};
  if (request.initrd_path) {
    for (const std::string& word : module_words(*request.initrd_path, *kind)) {
      const bool may_have_arguments = *kind == KernelKind::kMultiboot;
      const std::string path = may_have_arguments ? word.substr(0, word.find(' ')) : word;
      files.push_back(EIDOLON_TRY(read_file(path, may_have_arguments ? "module" : "initrd", limit)));
      input.modules.push_back({files.back(), base_name(path) + word.substr(path.size())});
    }
  }
  const auto loaded = load_image(input, memory, bsp);
  if (!loaded) return std::unexpected(in_kernel(loaded.error()));
  return {};
}

}  // namespace eidolon::boot
