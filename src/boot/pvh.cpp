#include "boot/pvh.h"

#include <vector>

#include "base/try.h"
#include "boot/elf.h"
#include "boot/flat_state.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"

namespace eidolon::boot {

namespace {

constexpr uint32_t kNotePhys32Entry = 18;  ///< XEN_ELFNOTE_PHYS32_ENTRY
constexpr uint32_t kStartMagic = 0x336ec578;

struct StartInfo {
  uint32_t magic, version, flags, module_count;
  uint64_t modules, command_line, rsdp, memory_map;
  uint32_t memory_map_count, reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct ModuleEntry {
  uint64_t address, size, command_line, reserved;
};
struct MemoryEntry {
  uint64_t base, length;
  uint32_t type, reserved;
};
static_assert(sizeof(ModuleEntry) == 32 && sizeof(MemoryEntry) == 24);

}  // namespace

std::optional<uint64_t> pvh_entry(Image kernel) {
  if (!is_elf(kernel)) return std::nullopt;
  const auto elf = parse_elf(kernel);
  return elf ? elf->note(kernel, "Xen", kNotePhys32Entry) : std::nullopt;
}

Result<> load_pvh(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp) {
  const ElfFile elf = EIDOLON_TRY(parse_elf(input.kernel));
  const uint64_t entry = elf.note(input.kernel, "Xen", kNotePhys32Entry).value_or(0);
  const uint64_t end = EIDOLON_TRY(load_elf(elf, input.kernel, memory));
  EIDOLON_TRY(check_kernel_range(memory, entry, 1));
  EIDOLON_TRY(place_command_line(memory, input.command_line, kMaxCommandLine));

  const std::vector<MapEntry> map = memory_map(memory);
  StartInfo info{.magic = kStartMagic,
                 .version = 1,
                 .flags = 0,
                 .module_count = 0,
                 .modules = 0,
                 .command_line = kCommandLine,
                 .rsdp = input.rsdp,
                 .memory_map = kBootParams + sizeof(StartInfo) + sizeof(ModuleEntry),
                 .memory_map_count = static_cast<uint32_t>(map.size()),
                 .reserved = 0};
  ModuleEntry module{};
  if (!input.modules.empty()) {
    const Image initrd = input.modules.front().bytes;
    module.address = EIDOLON_TRY(place_high(memory, initrd, end, kMmioHoleBase, "initrd"));
    module.size = initrd.size();
    info.module_count = 1;
    info.modules = kBootParams + sizeof(StartInfo);
  }
  std::vector<uint8_t> tables;
  append(tables, info);
  append(tables, module);
  for (const MapEntry& range : map)
    append(tables,
           MemoryEntry{.base = range.base, .length = range.length, .type = range.type, .reserved = 0});
  EIDOLON_TRY(place_table(memory, kBootParams, tables));

  EIDOLON_TRY(enter_flat32(memory, bsp, entry));
  bsp.gpr[x86::kRbx] = kBootParams;
  return {};
}

}  // namespace eidolon::boot
