// ELF kernels, 32- and 64-bit: program headers and notes (System V ABI, chapters 4 and 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "boot/image.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

struct ElfSegment {
  uint32_t type;
  uint64_t offset, file_size;      ///< in the file; checked to lie in it
  uint64_t physical, memory_size;  ///< memory_size >= file_size for PT_LOAD
};

struct ElfFile {
  uint64_t entry;
  std::vector<ElfSegment> segments;

  /// The number in the note of `type` by `owner`, if there is one.
  [[nodiscard]] std::optional<uint64_t> note(Image file, std::string_view owner, uint32_t type) const;
};

[[nodiscard]] bool is_elf(Image file);
/// Executables for x86 or x86-64 only.
[[nodiscard]] Result<ElfFile> parse_elf(Image file);
/// Loads every PT_LOAD segment at its physical address; returns the end of the highest.
[[nodiscard]] Result<uint64_t> load_elf(const ElfFile& elf, Image file, memory::GuestMemory& memory);

}  // namespace eidolon::boot
