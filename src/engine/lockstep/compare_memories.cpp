#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/try.h"
#include "engine/lockstep/compare.h"

namespace eidolon::engine::lockstep {

namespace {

/// Which pages of a region the host has given memory to: the others are zero, and looking would give it them.
Result<std::vector<unsigned char>> touched_pages(const memory::Region& region) {
  std::vector<unsigned char> touched(region.length >> x86::kPageShift);
  if (mincore(region.host, region.length, touched.data()) != 0)
    return fail("the host does not say which pages of the guest's memory are in use; lockstep needs mincore");
  return touched;
}

bool all_zero(const uint8_t* page) {
  return page[0] == 0 && std::memcmp(page, page + 1, x86::kPageSize - 1) == 0;
}

uint64_t word_at(const memory::Region& region, uint64_t offset) {
  uint64_t value;
  std::memcpy(&value, region.host + (offset & ~uint64_t{7}), sizeof value);
  return value;
}

}  // namespace

Result<std::unique_ptr<memory::GuestMemory>> clone(const memory::GuestMemory& memory) {
  uint64_t bytes = 0;
  for (const memory::Region& region : memory.regions()) bytes += region.length;
  std::unique_ptr<memory::GuestMemory> copy = EIDOLON_TRY(memory::GuestMemory::create(bytes));
  for (const memory::Region& region : memory.regions()) {
    EIDOLON_TRY(copy->add_region(region.base, region.length, region.kind));
    const std::vector<unsigned char> touched = EIDOLON_TRY(touched_pages(region));
    for (size_t page = 0; page < touched.size(); ++page) {
      if ((touched[page] & 1) == 0) continue;
      const uint64_t offset = page << x86::kPageShift;
      if (!copy->load(region.base + offset, region.host + offset, x86::kPageSize))
        return fail("the guest's memory at {:#x} cannot be copied", region.base + offset);
    }
  }
  return copy;
}

std::optional<std::string> compare_memories(const memory::GuestMemory& translate,
                                            const memory::GuestMemory& step) {
  for (size_t i = 0; i < translate.regions().size(); ++i) {
    const memory::Region& a = translate.regions()[i];
    const memory::Region& b = step.regions()[i];
    const auto touched_a = touched_pages(a);
    const auto touched_b = touched_pages(b);
    if (!touched_a) return touched_a.error().message;
    if (!touched_b) return touched_b.error().message;
    for (size_t page = 0; page < touched_a->size(); ++page) {
      const uint64_t begin = page << x86::kPageShift;
      const bool in_a = ((*touched_a)[page] & 1) != 0;
      const bool in_b = ((*touched_b)[page] & 1) != 0;
      if (!in_a && !in_b) continue;
      if (in_a && in_b && std::memcmp(a.host + begin, b.host + begin, x86::kPageSize) == 0) continue;
      if (in_a != in_b && all_zero((in_a ? a : b).host + begin)) continue;
      const auto* first =
          std::mismatch(a.host + begin, a.host + begin + x86::kPageSize, b.host + begin).first;
      const auto offset = static_cast<uint64_t>(first - a.host);
      return fmt::format(
          "  memory at physical {:#x}: translate {:#018x}, step {:#018x} (the 8 bytes around it)\n",
          a.base + offset, word_at(a, offset), word_at(b, offset));
    }
  }
  return std::nullopt;
}

}  // namespace eidolon::engine::lockstep
