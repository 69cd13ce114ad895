#include "memory/discard.h"

#include <sys/mman.h>

#include "base/bits.h"
#include "x86/paging.h"

namespace eidolon::memory {

void discard(std::span<uint8_t> bytes) {
  const auto begin = reinterpret_cast<uint64_t>(bytes.data());
  const uint64_t first = align_up(begin, x86::kPageSize);
  const uint64_t end = (begin + bytes.size()) & ~x86::kPageMask;
  if (first >= end) return;
  // SAFETY: whole pages of a mapping of ours, which stays mapped: whoever reads or writes them now
  // (a processor, a device's system call) finds the old bytes or fresh ones. A host that cannot do it leaves
  // them as they are, which is right too.
  uint8_t* pages = bytes.data() + (first - begin);
  const int removed =
      madvise(pages, end - first, MADV_REMOVE);  // of shared memory; private has no such thing
  if (removed != 0) (void)madvise(pages, end - first, MADV_DONTNEED);
}

}  // namespace eidolon::memory
