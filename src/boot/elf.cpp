#include "boot/elf.h"

#include <elf.h>

#include <algorithm>

#include "base/bits.h"
#include "base/try.h"
#include "boot/placement.h"

namespace eidolon::boot {

namespace {

template <typename Header, typename Segment>
Result<ElfFile> parse(Image file) {
  if (!contains(file, 0, sizeof(Header))) return fail("it is a truncated ELF file; copy it again");
  const auto header = field<Header>(file, 0);
  if (header.e_machine != EM_386 && header.e_machine != EM_X86_64)
    return fail("it is an ELF file for another processor (machine {}); use a kernel for x86",
                header.e_machine);
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
    return fail("it is an ELF file but no executable (type {}); use a linked kernel", header.e_type);
  if (header.e_phentsize != sizeof(Segment) || header.e_phnum == 0 ||
      !contains(file, header.e_phoff, uint64_t{header.e_phnum} * sizeof(Segment)))
    return fail("it is an ELF file whose program headers are missing or beyond its end; copy it again");

  ElfFile elf{.entry = header.e_entry, .segments = {}};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment = field<Segment>(file, header.e_phoff + i * sizeof(Segment));
    if (segment.p_type != PT_LOAD && segment.p_type != PT_NOTE) continue;
    if (!contains(file, segment.p_offset, segment.p_filesz))
      return fail(
          "it is an ELF file whose segment {} ends beyond the file; it is truncated, so copy it again", i);
    if (segment.p_type == PT_LOAD && segment.p_memsz < segment.p_filesz)
      return fail("it is an ELF file whose segment {} is larger in the file than in memory; it is damaged",
                  i);
    elf.segments.push_back({.type = segment.p_type,
                            .offset = segment.p_offset,
                            .file_size = segment.p_filesz,
                            .physical = segment.p_paddr,
                            .memory_size = segment.p_memsz});
  }
  return elf;
}

}  // namespace

bool is_elf(Image file) {
  return contains(file, 0, EI_NIDENT) && std::equal(ELFMAG, ELFMAG + SELFMAG, file.begin()) &&
         file[EI_DATA] == ELFDATA2LSB;
}

Result<ElfFile> parse_elf(Image file) {
  if (file[EI_CLASS] == ELFCLASS64) return parse<Elf64_Ehdr, Elf64_Phdr>(file);
  return parse<Elf32_Ehdr, Elf32_Phdr>(file);
}

std::optional<uint64_t> ElfFile::note(Image file, std::string_view owner, uint32_t type) const {
  for (const ElfSegment& segment : segments) {
    if (segment.type != PT_NOTE) continue;
    const Image notes = file.subspan(segment.offset, segment.file_size);
    for (uint64_t at = 0; contains(notes, at, sizeof(Elf64_Nhdr));) {
      const auto header = field<Elf64_Nhdr>(notes, at);  // the same in both classes
      const uint64_t name_at = at + sizeof header;
      const uint64_t value_at = name_at + align_up(header.n_namesz, 4);
      if (!contains(notes, value_at, header.n_descsz)) break;
      const Image name = notes.subspan(name_at, header.n_namesz);
      const bool named =
          name.size() == owner.size() + 1 && std::ranges::equal(name.first(owner.size()), owner);
      if (named && header.n_type == type && header.n_descsz >= 8) return field<uint64_t>(notes, value_at);
      if (named && header.n_type == type && header.n_descsz >= 4) return field<uint32_t>(notes, value_at);
      at = value_at + align_up(header.n_descsz, 4);
    }
  }
  return std::nullopt;
}

Result<uint64_t> load_elf(const ElfFile& elf, Image file, memory::GuestMemory& memory) {
  uint64_t end = 0;
  for (const ElfSegment& segment : elf.segments) {
    if (segment.type != PT_LOAD || segment.memory_size == 0) continue;
    EIDOLON_TRY(load_kernel_bytes(memory, segment.physical, file.subspan(segment.offset, segment.file_size),
                                  segment.memory_size));
    end = std::max(end, segment.physical + segment.memory_size);
  }
  if (end == 0) return fail("it is an ELF file with nothing to load; use a linked kernel");
  return end;
}

}  // namespace eidolon::boot
