#include "boot/linux.h"

#include <algorithm>
#include <vector>

#include "base/try.h"
#include "boot/flat_state.h"
#include "boot/linux_header.h"
#include "boot/linux_unpacked.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"

namespace eidolon::boot {

using namespace linux_header;

namespace {

constexpr unsigned kSector = 512;

/// screen_info for the mode 3 that the VGA adapter is in.
void put_text_screen(std::vector<uint8_t>& params) {
  put<uint8_t>(params, kScreenMode, 3);
  put<uint8_t>(params, kScreenColumns, 80);
  put<uint16_t>(params, kScreenEgaMemory, 3);  // 256 KiB
  put<uint8_t>(params, kScreenLines, 25);
  put<uint8_t>(params, kScreenType, kScreenVgaText);
  put<uint16_t>(params, kScreenPoints, 16);  // lines of a character
}

/// boot_params, but for the initrd and the command line (zero-page.rst).
Result<std::vector<uint8_t>> make_boot_params(const LoadInput& input, const LinuxKernel& kernel,
                                              const memory::GuestMemory& memory) {
  std::vector<uint8_t> params(kParamsSize);
  const uint64_t end = std::min<uint64_t>(kMagic + field<uint8_t>(input.kernel, kJumpDistance), kHeaderEnd);
  if (end > kHeader && contains(input.kernel, kHeader, end - kHeader))
    std::ranges::copy(input.kernel.subspan(kHeader, end - kHeader), params.begin() + kHeader);

  put<uint8_t>(params, kLoaderType, kUnknownLoader);
  put<uint32_t>(params, kCode32Start, static_cast<uint32_t>(kernel.load_address));
  put<uint8_t>(params, kLoadFlags, field<uint8_t>(input.kernel, kLoadFlags) & static_cast<uint8_t>(~kKaslr));
  put<uint64_t>(params, kSetupData, 0);
  put<uint64_t>(params, kAcpiRsdp, input.rsdp);
  if (input.text_screen) put_text_screen(params);

  const std::vector<MapEntry> map = memory_map(memory);
  if (map.size() > kE820Max)
    return fail("the memory map has {} entries and Linux takes {}; use fewer memory regions", map.size(),
                kE820Max);
  put<uint8_t>(params, kE820Count, static_cast<uint8_t>(map.size()));
  uint64_t at = kE820Table;
  for (const MapEntry& entry : map) {
    put<uint64_t>(params, at, entry.base);
    put<uint64_t>(params, at + 8, entry.length);
    put<uint32_t>(params, at + 16, entry.type);
    at += kE820EntrySize;
  }
  return params;
}

struct Entry {
  uint64_t rip;
  bool is_64bit;
};

/// Places the kernel, unpacked if that is wanted and can be done, else with its own unpacker.
Result<Entry> load_code(const LoadInput& input, const LinuxKernel& kernel, memory::GuestMemory& memory) {
  const bool is_64bit = kernel.has_entry64 && !input.force_32bit;
  if (is_64bit && input.unpack == KernelUnpack::kHost)
    if (const auto entry = EIDOLON_TRY(load_unpacked_linux(input.kernel, kernel, memory)))
      return Entry{*entry, true};
  EIDOLON_TRY(load_kernel_bytes(memory, kernel.load_address,
                                input.kernel.subspan(kernel.part_offset, kernel.part_size), 0));
  return Entry{kernel.load_address + (is_64bit ? kEntry64 : 0), is_64bit};
}

}  // namespace

bool is_linux(Image kernel) {
  return field<uint16_t>(kernel, kBootFlag) == kBootFlagValue &&
         field<uint32_t>(kernel, kMagic) == kMagicValue;
}

Result<LinuxKernel> parse_linux(Image file) {
  LinuxKernel kernel{};
  kernel.version = field<uint16_t>(file, kVersion);
  if (kernel.version < kOldestVersion || (field<uint8_t>(file, kLoadFlags) & kLoadedHigh) == 0)
    return fail("it is a zImage or older than boot protocol 2.2; use a bzImage of Linux 2.4 or later");

  unsigned sectors = field<uint8_t>(file, kSetupSectors);
  if (sectors == 0) sectors = 4;
  kernel.part_offset = (sectors + 1) * kSector;
  // A 32-bit count since 2.04, 16-bit before. What follows it (a signature, say) is not the kernel's.
  uint64_t size = uint64_t{field<uint32_t>(file, kSystemSize)} * 16;
  if (kernel.version < 0x204) size = uint64_t{field<uint16_t>(file, kSystemSize)} * 16;
  if (size == 0 || kernel.part_offset >= file.size() || size > file.size() - kernel.part_offset + 15)
    return fail("it is truncated: its header promises {} bytes and it has {}; copy it again",
                kernel.part_offset + size, file.size());
  kernel.part_size = std::min(size, file.size() - kernel.part_offset);

  kernel.load_address = kHighRamBase;
  kernel.memory_needed = kernel.part_size;
  kernel.initrd_max = kernel.version >= 0x203 ? field<uint32_t>(file, kInitrdMax) : 0x37ffffff;
  kernel.command_line_max = kernel.version >= 0x206 ? field<uint32_t>(file, kCommandLineSize) : 255;
  if (kernel.version >= 0x20a) {
    if (field<uint8_t>(file, kRelocatable) != 0) {
      kernel.load_address = field<uint64_t>(file, kPreferredAddress);
      if (kernel.load_address < kHighRamBase || kernel.load_address >= kMmioHoleBase)
        return fail(
            "its header asks for the load address {:#x}, which is not below 3 GiB; it is damaged or "
            "not for a PC",
            kernel.load_address);
    }
    kernel.memory_needed = std::max<uint64_t>(kernel.memory_needed, field<uint32_t>(file, kInitSize));
  }
  kernel.has_entry64 = kernel.version >= 0x20c && (field<uint16_t>(file, kXLoadFlags) & kXlfKernel64) != 0;
  if (kernel.has_entry64 && kernel.part_size <= kEntry64)
    return fail("its 64-bit entry point lies beyond its end; it is damaged, so copy it again");
  return kernel;
}

Result<> load_linux(const LoadInput& input, memory::GuestMemory& memory, cpu::State& bsp) {
  const LinuxKernel kernel = EIDOLON_TRY(parse_linux(input.kernel));
  EIDOLON_TRY(check_kernel_range(memory, kernel.load_address, kernel.memory_needed));
  const auto entry = EIDOLON_TRY(load_code(input, kernel, memory));

  std::vector<uint8_t> params = EIDOLON_TRY(make_boot_params(input, kernel, memory));
  EIDOLON_TRY(place_command_line(memory, input.command_line, kernel.command_line_max));
  put<uint32_t>(params, kCommandLinePointer, static_cast<uint32_t>(kCommandLine));
  if (!input.modules.empty()) {
    const Image initrd = input.modules.front().bytes;
    const uint64_t base = EIDOLON_TRY(place_high(memory, initrd, kernel.load_address + kernel.memory_needed,
                                                 kernel.initrd_max + 1, "initrd"));
    put<uint32_t>(params, kRamdiskImage, static_cast<uint32_t>(base));
    put<uint32_t>(params, kRamdiskSize, static_cast<uint32_t>(initrd.size()));
  }
  EIDOLON_TRY(place_table(memory, kBootParams, params));

  EIDOLON_TRY(entry.is_64bit ? enter_flat64(memory, bsp, entry.rip) : enter_flat32(memory, bsp, entry.rip));
  bsp.gpr[x86::kRsi] = kBootParams;
  return {};
}

}  // namespace eidolon::boot
