#include "mmu/make_zero.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "x86/paging.h"

namespace eidolon::mmu {

void make_zero(std::byte* begin, size_t size) {
  constexpr uint64_t kPage = x86::kPageSize;
  const auto from = reinterpret_cast<uint64_t>(begin), to = from + size;
  const uint64_t first_page = (from + kPage - 1) & ~(kPage - 1), last_page = to & ~(kPage - 1);
  // SAFETY: whole pages within the object; what they held is not needed.
  if (first_page >= last_page ||
      madvise(reinterpret_cast<void*>(first_page), last_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(begin, 0, size);
    return;
  }
  std::memset(begin, 0, first_page - from);
  std::memset(begin + (last_page - from), 0, to - last_page);
}

}  // namespace eidolon::mmu
