#include "memory/file_window.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace eidolon::memory {

Result<> add_file_window(GuestMemory& memory, GuestPhysical base, uint64_t length, int file, FileUse use) {
  const Region* window = EIDOLON_TRY(memory.add_window(length));
  // A mapping of a file that is only read may be written all the same, so that nothing the monitor does to
  // guest memory can fault; that stays in this process.
  const int sharing = use == FileUse::kShared ? MAP_SHARED : MAP_PRIVATE;
  // SAFETY: over the window's pages, which are mapped, are ours, and which nobody has used.
  if (mmap(window->host, length, PROT_READ | PROT_WRITE, sharing | MAP_FIXED | MAP_NORESERVE, file, 0) ==
      MAP_FAILED)
    return fail("cannot map {} MiB of a file into guest memory ({})", length >> 20, std::strerror(errno));
  // SAFETY: the windows are objects of the memory's, which are shown as const but are not; nobody sees this
  // one yet.
  if (use == FileUse::kReadOnly) const_cast<Region*>(window)->kind = RegionKind::kRom;
  if (!memory.show_window(*window, base))
    return fail("memory from a file would be in the way of other memory at {:#x}", base);
  return {};
}

}  // namespace eidolon::memory
