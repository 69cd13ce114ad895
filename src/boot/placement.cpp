#include "boot/placement.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/bits.h"
#include "base/try.h"
#include "boot/memory_layout.h"
#include "x86/paging.h"

namespace eidolon::boot {

Result<> check_kernel_range(const memory::GuestMemory& memory, uint64_t base, uint64_t length) {
  if (base < kBootAreaEnd)
    return fail(
        "the kernel wants to be loaded at {:#x}, below {:#x}, which the boot loader uses; link it higher",
        base, kBootAreaEnd);
  for (const MapEntry& entry : memory_map(memory))
    if (entry.type == MapEntry::kUsable && base - entry.base < entry.length &&
        length <= entry.length - (base - entry.base))
      return {};
  return fail(
      "the kernel needs {} KiB of memory at {:#x} and the guest has no such RAM; give it more with --memory",
      (length + 1023) >> 10, base);
}

Result<> load_kernel_bytes(memory::GuestMemory& memory, uint64_t base, Image bytes, uint64_t memory_length) {
  const uint64_t length = std::max<uint64_t>(bytes.size(), memory_length);
  EIDOLON_TRY(check_kernel_range(memory, base, length));
  static constexpr uint8_t kZeros[x86::kPageSize] = {};
  bool done = memory.write(base, bytes.data(), bytes.size());
  for (uint64_t at = bytes.size(); done && at < length; at += x86::kPageSize)
    done = memory.write(base + at, kZeros, std::min(x86::kPageSize, length - at));
  if (!done) return fail("the kernel does not fit at {:#x}; give the guest more memory with --memory", base);
  return {};
}

Result<uint64_t> place_high(memory::GuestMemory& memory, Image bytes, uint64_t floor, uint64_t ceiling,
                            std::string_view what) {
  ceiling = std::min(ceiling, high_ram_end(memory));
  floor = align_up(std::max(floor, kHighRamBase), x86::kPageSize);
  const uint64_t base = bytes.size() <= ceiling ? align_down(ceiling - bytes.size(), x86::kPageSize) : 0;
  if (base < floor)
    return fail(
        "the {} ({} KiB) does not fit between the kernel's end at {:#x} and {:#x}; give the guest more "
        "memory with --memory, or make the {} smaller",
        what, (bytes.size() + 1023) >> 10, floor, ceiling, what);
  if (!memory.write(base, bytes.data(), bytes.size()))
    return fail("the {} does not fit at {:#x}; give the guest more memory with --memory", what, base);
  return base;
}

Result<> place_command_line(memory::GuestMemory& memory, std::string_view text, uint64_t limit) {
  limit = std::min(limit, kMaxCommandLine);
  if (text.size() > limit)
    return fail("the command line has {} bytes and this kernel takes {}; shorten --append", text.size(),
                limit);
  if (text.contains('\0')) return fail("the command line has a NUL character in it; remove it from --append");
  const std::string terminated(text);
  return place_table(memory, kCommandLine,
                     {reinterpret_cast<const uint8_t*>(terminated.c_str()),
                      terminated.size() + 1});  // SAFETY: chars as bytes
}

Result<> place_table(memory::GuestMemory& memory, uint64_t base, Image bytes) {
  if (!memory.write(base, bytes.data(), bytes.size()))
    return fail("the boot tables do not fit at {:#x}; give the guest more memory with --memory", base);
  return {};
}

}  // namespace eidolon::boot
