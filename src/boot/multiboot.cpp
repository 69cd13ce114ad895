#include "boot/multiboot.h"

#include <algorithm>
#include <vector>

#include "base/bits.h"
#include "base/try.h"
#include "boot/elf.h"
#include "boot/flat_state.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"
#include "x86/paging.h"

namespace eidolon::boot {

namespace {

constexpr uint32_t kHeaderMagic = 0x1badb002;
constexpr uint32_t kLoaderMagic = 0x2badb002;  ///< in EAX at the entry
constexpr uint64_t kSearchLimit = 8192;
constexpr uint32_t kUnknownRequirements = 0xfff8;  ///< of the bits 15:0 that a loader must understand
constexpr uint32_t kHasAddresses = 1u << 16;
constexpr char kLoaderName[] = "Eidolon";

// Bits of the information structure's flags, and the structure (section 3.3).
constexpr uint32_t kHasMemory = 1u << 0, kHasCommandLine = 1u << 2, kHasModules = 1u << 3, kHasMap = 1u << 6,
                   kHasLoaderName = 1u << 9;
struct Information {
  uint32_t flags, memory_lower, memory_upper, boot_device, command_line, module_count, modules, symbols[4],
      map_length, map, drives_length, drives, config_table, loader_name, apm_table;
};
static_assert(sizeof(Information) == 72);
struct ModuleEntry {
  uint32_t start, end, command, reserved;
};
struct [[gnu::packed]] MapRecord {
  uint32_t size;  ///< of what follows
  uint64_t base, length;
  uint32_t type;
};
static_assert(sizeof(MapRecord) == 24);

struct Placed {
  uint64_t entry;
  uint64_t end;
};

/// By the address fields of the header (section 3.1.3).
Result<Placed> load_by_addresses(Image file, uint64_t header_at, memory::GuestMemory& memory) {
  const uint64_t header = field<uint32_t>(file, header_at + 12), load = field<uint32_t>(file, header_at + 16),
                 load_end = field<uint32_t>(file, header_at + 20),
                 bss_end = field<uint32_t>(file, header_at + 24),
                 entry = field<uint32_t>(file, header_at + 28);
  if (load > header || header - load > header_at)
    return fail("its Multiboot header gives a load address that does not fit the file; it is damaged");
  const uint64_t from = header_at - (header - load);
  const uint64_t length = load_end != 0 ? load_end - load : file.size() - from;
  if ((load_end != 0 && load_end < load) || !contains(file, from, length))
    return fail("its Multiboot header promises more bytes than the file has; copy it again");
  const uint64_t memory_length = bss_end > load ? bss_end - load : 0;
  EIDOLON_TRY(load_kernel_bytes(memory, load, file.subspan(from, length), memory_length));
  return Placed{entry, load + std::max(length, memory_length)};
}

Result<Placed> load_kernel_file(Image file, memory::GuestMemory& memory) {
  const uint64_t header_at = multiboot_header(file).value_or(0);
  const auto flags = field<uint32_t>(file, header_at + 4);
  if ((flags & kUnknownRequirements) != 0)
    return fail("its Multiboot header requires features {:#x}, which are not known; build it without them",
                flags & kUnknownRequirements);
  if ((flags & kHasAddresses) != 0) return load_by_addresses(file, header_at, memory);
  if (!is_elf(file))
    return fail("it has a Multiboot header without addresses but is no ELF file; set bit 16 of its flags");
  const ElfFile elf = EIDOLON_TRY(parse_elf(file));
  const uint64_t end = EIDOLON_TRY(load_elf(elf, file, memory));
  return Placed{elf.entry, end};
}

/// The information structure and what it points to, laid out one after the other from kBootParams.
class Tables {
 public:
  Tables() : bytes_(sizeof(Information)) {}
  uint32_t here() const { return static_cast<uint32_t>(kBootParams + bytes_.size()); }
  uint32_t add_string(std::string_view text) {
    const uint32_t at = here();
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    bytes_.resize(align_up(bytes_.size() + 1, 8));
    return at;
  }
  template <typename T>
  void add(const T& value) {
    append(bytes_, value);
  }
  Result<> write(memory::GuestMemory& memory, const Information& info) {
    put(bytes_, 0, info);
    if (bytes_.size() > kPageTables - kBootParams)
      return fail("the modules' names are too long; shorten --initrd");
    return place_table(memory, kBootParams, bytes_);
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace

std::optional<uint64_t> multiboot_header(Image kernel) {
  for (uint64_t at = 0; at < kSearchLimit && contains(kernel, at, 12); at += 4)
    if (field<uint32_t>(kernel, at) == kHeaderMagic &&
        kHeaderMagic + field<uint32_t>(kernel, at + 4) + field<uint32_t>(kernel, at + 8) == 0)
      return at;
  return std::nullopt;
}

Result<> load_multiboot(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp) {
  const Placed kernel = EIDOLON_TRY(load_kernel_file(input.kernel, memory));
  EIDOLON_TRY(check_kernel_range(memory, kernel.entry, 1));
  const std::string separator = input.command_line.empty() ? "" : " ";
  EIDOLON_TRY(
      place_command_line(memory, input.kernel_name + separator + input.command_line, kMaxCommandLine));

  Tables tables;
  Information info{};
  info.flags = kHasMemory | kHasCommandLine | kHasModules | kHasMap | kHasLoaderName;
  info.memory_lower = kLowRamEnd >> 10;
  info.memory_upper = static_cast<uint32_t>((high_ram_end(memory) - kHighRamBase) >> 10);
  info.command_line = kCommandLine;
  info.loader_name = tables.add_string(kLoaderName);

  std::vector<ModuleEntry> modules;
  uint64_t ceiling = kMmioHoleBase;
  for (const Module& module : input.modules) {
    ceiling = EIDOLON_TRY(place_high(memory, module.bytes, kernel.end, ceiling, "module"));
    modules.push_back({.start = static_cast<uint32_t>(ceiling),
                       .end = static_cast<uint32_t>(ceiling + module.bytes.size()),
                       .command = tables.add_string(module.command),
                       .reserved = 0});
  }
  info.module_count = static_cast<uint32_t>(modules.size());
  info.modules = tables.here();
  for (const ModuleEntry& module : modules) tables.add(module);

  info.map = tables.here();
  for (const MapEntry& range : memory_map(memory))
    tables.add(MapRecord{.size = 20, .base = range.base, .length = range.length, .type = range.type});
  info.map_length = tables.here() - info.map;
  EIDOLON_TRY(tables.write(memory, info));

  EIDOLON_TRY(enter_flat32(memory, bsp, kernel.entry));
  bsp.gpr[x86::kRax] = kLoaderMagic;
  bsp.gpr[x86::kRbx] = kBootParams;
  return {};
}

}  // namespace eidolon::boot
