#include "backend/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace eidolon::backend {

Result<Wakeup> Wakeup::create() {
  FileDescriptor fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid())
    return fail("cannot make an event descriptor ({}); raise the limit on open files", strerror(errno));
  return Wakeup(std::move(fd));
}

void Wakeup::raise() const {
  const uint64_t one = 1;
  // The counter cannot overflow before the thread drains it, and then it is awake anyway.
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof one);
}

void Wakeup::drain() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t drained = read(fd_.get(), &count, sizeof count);
}

}  // namespace eidolon::backend
