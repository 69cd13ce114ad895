#include "boot/linux_unpacked.h"

#include <elf.h>

#include "base/try.h"
#include "boot/elf.h"
#include "boot/linux_header.h"
#include "boot/unpack.h"

namespace eidolon::boot {

using namespace linux_header;

namespace {

/// What the header says is packed; empty if it says nothing, or nothing true.
Image payload_of(Image file, const LinuxKernel& kernel) {
  if (kernel.version < 0x208) return {};
  const Image part = file.subspan(kernel.part_offset, kernel.part_size);
  const uint64_t offset = field<uint32_t>(file, kPayloadOffset);
  const uint64_t length = field<uint32_t>(file, kPayloadLength);
  return contains(part, offset, length) ? part.subspan(offset, length) : Image{};
}

bool is_64bit_elf(Image file) {
  return is_elf(file) && file[EI_CLASS] == ELFCLASS64 &&
         field<uint16_t>(file, offsetof(Elf64_Ehdr, e_machine)) == EM_X86_64;
}

bool within(uint64_t address, uint64_t length, const LinuxKernel& kernel) {
  return address >= kernel.load_address && address - kernel.load_address <= kernel.memory_needed &&
         length <= kernel.memory_needed - (address - kernel.load_address);
}

/// All that is loaded is in the memory that the kernel's header asks for, and so is the entry.
bool fits(const ElfFile& elf, const LinuxKernel& kernel) {
  bool has_code = false;
  for (const ElfSegment& segment : elf.segments) {
    if (segment.type != PT_LOAD) continue;
    if (!within(segment.physical, segment.memory_size, kernel)) return false;
    has_code |= elf.entry - segment.physical < segment.file_size;
  }
  return has_code;
}

Result<std::optional<uint64_t>> load_vmlinux(Image vmlinux, const LinuxKernel& kernel,
                                             memory::GuestMemory& memory) {
  if (!is_64bit_elf(vmlinux)) return std::nullopt;
  const auto elf = parse_elf(vmlinux);
  if (!elf || !fits(*elf, kernel)) return std::nullopt;
  EIDOLON_TRY(load_elf(*elf, vmlinux, memory));
  return elf->entry;
}

}  // namespace

Result<std::optional<uint64_t>> load_unpacked_linux(Image file, const LinuxKernel& kernel,
                                                    memory::GuestMemory& memory) {
  const Image payload = payload_of(file, kernel);
  const Compression compression = compression_of(payload);
  if (compression == Compression::kUnknown) return std::nullopt;
  if (compression == Compression::kNone) return load_vmlinux(payload, kernel, memory);
  // Its last four bytes are the size unpacked: of the format (gzip), or put there by Linux's build.
  const uint64_t size = field<uint32_t>(payload, payload.size() - sizeof(uint32_t));
  if (size == 0 || size > kernel.memory_needed) return std::nullopt;
  const UnpackedBytes unpacked = EIDOLON_TRY(unpack(compression, payload, size));
  return load_vmlinux(unpacked.bytes(), kernel, memory);
}

}  // namespace eidolon::boot
