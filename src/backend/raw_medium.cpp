#include "backend/raw_medium.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "backend/parts.h"
#include "base/try.h"

namespace eidolon::backend {

using device::storage::IoStatus;

namespace {

Result<> lock(int fd, const std::string& path, bool read_only) {
  struct flock range {};
  range.l_type = read_only ? F_RDLCK : F_WRLCK;
  range.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &range) == 0) return {};
  if (errno == EAGAIN || errno == EACCES)
    return fail(
        "disk '{}' is in use by another machine; stop that one, or open the disk here with ,readonly there "
        "too",
        path);
  return fail("cannot lock disk '{}' ({}); put it on a file system with locks", path, strerror(errno));
}

Result<uint64_t> size_of(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail("cannot look at disk '{}' ({})", path, strerror(errno));
  uint64_t size = 0;
  if (S_ISBLK(info.st_mode)) {
    if (ioctl(fd, BLKGETSIZE64, &size) != 0)
      return fail("cannot tell the size of disk '{}' ({})", path, strerror(errno));
  } else if (S_ISREG(info.st_mode)) {
    size = static_cast<uint64_t>(info.st_size);
  } else {
    return fail("disk '{}' is neither a file nor a block device; name one of these", path);
  }
  if (size == 0 || size % 512 != 0)
    return fail(
        "disk '{}' has {} bytes, which is no whole number of sectors of 512; make it larger with truncate -s",
        path, size);
  return size;
}

}  // namespace

Result<std::unique_ptr<RawMedium>> RawMedium::open(const std::string& path, bool read_only) {
  FileDescriptor file(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) {
    return fail("cannot open disk '{}' ({}); name a file that can be {}", path, strerror(errno),
                read_only ? "read" : "read and written, or add ,readonly");
  }
  const uint64_t size = EIDOLON_TRY(size_of(file.get(), path));
  EIDOLON_TRY(lock(file.get(), path, read_only));
  return std::unique_ptr<RawMedium>(new RawMedium(std::move(file), size, read_only));
}

IoStatus RawMedium::read(uint64_t offset, std::span<const iovec> into) {
  return read_all(file_.get(), offset, into);
}

IoStatus RawMedium::write(uint64_t offset, std::span<const iovec> from) {
  return write_all(file_.get(), offset, from);
}

IoStatus RawMedium::flush() { return fdatasync(file_.get()) == 0 ? IoStatus::kDone : status_of_errno(); }

IoStatus RawMedium::discard(uint64_t offset, uint64_t length) {
  // A hint: a file system that cannot do it does nothing.
  const int done = fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             static_cast<off_t>(offset), static_cast<off_t>(length));
  return done == 0 || errno == EOPNOTSUPP || errno == ENODEV || errno == EINVAL ? IoStatus::kDone
                                                                                : status_of_errno();
}

IoStatus RawMedium::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
  const int how = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
  if (fallocate(file_.get(), how | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(length)) == 0)
    return IoStatus::kDone;
  static constexpr size_t kChunk = 64 * 1024;
  static const std::array<uint8_t, kChunk> zeroes{};
  while (length > 0) {
    const size_t part = std::min<uint64_t>(length, kChunk);
    const ssize_t done = pwrite(file_.get(), zeroes.data(), part, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return status_of_errno();
    offset += static_cast<uint64_t>(done);
    length -= static_cast<uint64_t>(done);
  }
  return IoStatus::kDone;
}

}  // namespace eidolon::backend
