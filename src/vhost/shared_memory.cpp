#include "vhost/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace eidolon::vhost {

Result<SharedMemory> SharedMemory::create(size_t bytes) {
  // Sealed, so that nobody who has it takes pages from under our accesses.
  FileDescriptor file(memfd_create("eidolon-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid() || ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail("cannot make {} KiB of memory to share ({}); raise the limit on open files", bytes >> 10,
                std::strerror(errno));
  void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapping == MAP_FAILED)
    return fail("cannot map {} KiB to share ({})", bytes >> 10, std::strerror(errno));
  return SharedMemory(std::move(file), {static_cast<uint8_t*>(mapping), bytes});
}

SharedMemory::~SharedMemory() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace eidolon::vhost
