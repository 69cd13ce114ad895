#include "migration/userfault.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "snapshot/memory_index.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

namespace {

constexpr int kFlags = O_CLOEXEC | O_NONBLOCK;

// SAFETY: addresses are numbers to the host's kernel here.
uint64_t number_of(const void* address) { return reinterpret_cast<uint64_t>(address); }

FileDescriptor by_system_call(int flags) {
  return FileDescriptor(static_cast<int>(syscall(SYS_userfaultfd, flags)));
}

/// Who may open the device is the administrator's to say (Linux 6.1).
FileDescriptor by_device() {
  const FileDescriptor device(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  return FileDescriptor(device.valid() ? ioctl(device.get(), USERFAULTFD_IOC_NEW, kFlags) : -1);
}

/// The error, or 0. The host's kernel does nothing while somebody else changes the mapping (EAGAIN).
int copy_to(int fd, const uint8_t* page, Bytes content) {
  for (;;) {
    uffdio_copy copy{};
    copy.dst = number_of(page);
    copy.src = number_of(content.data());
    copy.len = kPageBytes;
    if (ioctl(fd, UFFDIO_COPY, &copy) == 0) return 0;
    if (errno != EAGAIN) return errno;
  }
}

int zeros_to(int fd, const uint8_t* page) {
  for (;;) {
    uffdio_zeropage zeros{};
    zeros.range = {.start = number_of(page), .len = kPageBytes};
    if (ioctl(fd, UFFDIO_ZEROPAGE, &zeros) == 0) return 0;
    if (errno != EAGAIN) return errno;
  }
}

std::unexpected<Error> no_room(int error) {
  return fail("this host cannot take a page of the guest's memory ({})", strerror(error));
}

}  // namespace

Result<Userfault> Userfault::create(Serves most) {
  FileDescriptor fd;
  Serves serves = Serves::kAll;
  if (most == Serves::kAll) {
    fd = by_system_call(kFlags);
    if (!fd.valid()) fd = by_device();
  }
  if (!fd.valid()) {
    serves = Serves::kProgram;
    fd = by_system_call(kFlags | UFFD_USER_MODE_ONLY);
  }
  uffdio_api api{};
  api.api = UFFD_API;
  if (!fd.valid() || ioctl(fd.get(), UFFDIO_API, &api) != 0)
    return fail(
        "this host cannot have memory follow later (userfaultfd: {}); move the machine without --post-copy",
        strerror(errno));
  return Userfault(std::move(fd), serves);
}

Result<> Userfault::watch(std::span<uint8_t> memory) const {
  uffdio_register wanted{};
  wanted.range = {.start = number_of(memory.data()), .len = memory.size()};
  wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
  constexpr uint64_t kNeeded = uint64_t{1} << _UFFDIO_COPY | uint64_t{1} << _UFFDIO_ZEROPAGE;
  if (ioctl(fd_.get(), UFFDIO_REGISTER, &wanted) == 0 && (wanted.ioctls & kNeeded) == kNeeded) return {};
  return fail(
      "the guest's memory cannot follow later (userfaultfd: {}); move the machine without --post-copy",
      strerror(errno));
}

void Userfault::leave(std::span<uint8_t> memory) const {
  uffdio_range range{.start = number_of(memory.data()), .len = memory.size()};
  (void)ioctl(fd_.get(), UFFDIO_UNREGISTER, &range);
}

std::optional<uint64_t> Userfault::take() const {
  uffd_msg message{};
  while (read(fd_.get(), &message, sizeof message) == sizeof message)
    if (message.event == UFFD_EVENT_PAGEFAULT)
      return uint64_t{message.arg.pagefault.address};  // of a packed type
  return std::nullopt;
}

Result<> Userfault::place(uint8_t* page, Bytes content) const {
  const int error = content.empty() ? zeros_to(fd_.get(), page) : copy_to(fd_.get(), page, content);
  return error == 0 ? Result<>() : no_room(error);
}

Result<> Userfault::fill(uint8_t* page) const {
  const int error = zeros_to(fd_.get(), page);
  if (error != 0 && error != EEXIST) return no_room(error);
  uffdio_range range{.start = number_of(page), .len = kPageBytes};
  if (error == EEXIST) (void)ioctl(fd_.get(), UFFDIO_WAKE, &range);
  return {};
}

}  // namespace eidolon::migration
