#include "backend/image/host_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "backend/image/parts.h"
#include "base/try.h"

namespace eidolon::backend::image {

Result<std::unique_ptr<HostFile>> HostFile::open(const std::string& path, Access access) {
  const bool read_only = access == Access::kRead;
  FileDescriptor fd(
      ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) {
    return fail("cannot open image '{}' ({}); name a file that can be {}", path, strerror(errno),
                read_only ? "read" : "read and written, or add ,readonly");
  }
  std::unique_ptr<HostFile> file(new HostFile(std::move(fd), path, read_only));
  EIDOLON_TRY(file->look());
  EIDOLON_TRY(lock_image(file->file_.get(), path, access));
  return file;
}

Result<std::unique_ptr<HostFile>> HostFile::create(const std::string& path, uint64_t size) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666));
  if (!fd.valid())
    return fail("cannot make image '{}' ({}); name a file in a folder that can be written", path,
                strerror(errno));
  std::unique_ptr<HostFile> file(new HostFile(std::move(fd), path, false));
  EIDOLON_TRY(file->look());
  EIDOLON_TRY(lock_image(file->file_.get(), path, Access::kWrite));
  if (file->is_block_device_) {
    if (file->size() < size)
      return fail("block device '{}' has {} bytes, and {} are needed; name a larger one", path, file->size(),
                  size);
    return file;
  }
  if (ftruncate(file->file_.get(), 0) != 0 || ftruncate(file->file_.get(), static_cast<off_t>(size)) != 0)
    return fail("cannot make '{}' {} bytes long ({})", path, size, strerror(errno));
  file->size_ = size;
  return file;
}

Result<> HostFile::look() {
  struct stat info {};
  if (fstat(file_.get(), &info) != 0) return fail("cannot look at image '{}' ({})", path_, strerror(errno));
  identity_ = {.device = info.st_dev, .number = info.st_ino};
  struct statfs system {};
  is_in_memory_ = S_ISREG(info.st_mode) && fstatfs(file_.get(), &system) == 0 && system.f_type == TMPFS_MAGIC;
  if (S_ISREG(info.st_mode)) {
    size_ = static_cast<uint64_t>(info.st_size);
    return {};
  }
  if (!S_ISBLK(info.st_mode))
    return fail("image '{}' is neither a file nor a block device; name one of these", path_);
  is_block_device_ = true;
  uint64_t size = 0;
  if (ioctl(file_.get(), BLKGETSIZE64, &size) != 0)
    return fail("cannot tell the size of block device '{}' ({})", path_, strerror(errno));
  size_ = size;
  return {};
}

uint64_t HostFile::allocated() const {
  struct stat info {};
  return fstat(file_.get(), &info) == 0 && S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_blocks) * 512
                                                                 : size();
}

void HostFile::at_least(uint64_t size) {
  uint64_t now = size_.load(std::memory_order_relaxed);
  while (now < size && !size_.compare_exchange_weak(now, size, std::memory_order_relaxed)) {
  }
}

File::IoStatus HostFile::read(uint64_t offset, std::span<const iovec> into) {
  return read_all(file_.get(), offset, into);
}

File::IoStatus HostFile::write(uint64_t offset, std::span<const iovec> from) {
  const IoStatus status = write_all(file_.get(), offset, from);
  if (status == IoStatus::kDone && !is_block_device_) at_least(offset + bytes_of(from));
  return status;
}

// tmpfs knows no RWF_NOWAIT, and has nothing to wait for either.
bool HostFile::read_at_once(uint64_t offset, std::span<const iovec> into) {
  const int flags = is_in_memory_ ? 0 : RWF_NOWAIT;
  const ssize_t done =
      preadv2(file_.get(), into.data(), static_cast<int>(into.size()), static_cast<off_t>(offset), flags);
  return done >= 0 && static_cast<uint64_t>(done) == bytes_of(into);
}

bool HostFile::write_at_once(uint64_t offset, std::span<const iovec> from) {
  const uint64_t bytes = bytes_of(from);
  if (!writes_may_be_at_once_.load(std::memory_order_relaxed) || offset + bytes > size()) return false;
  const int flags = is_in_memory_ ? 0 : RWF_NOWAIT;
  const ssize_t done =
      pwritev2(file_.get(), from.data(), static_cast<int>(from.size()), static_cast<off_t>(offset), flags);
  if (done < 0 && errno == EOPNOTSUPP) writes_may_be_at_once_.store(false, std::memory_order_relaxed);
  return done >= 0 && static_cast<uint64_t>(done) == bytes;
}

File::IoStatus HostFile::flush() { return fdatasync(file_.get()) == 0 ? IoStatus::kDone : status_of_errno(); }

File::IoStatus HostFile::grow(uint64_t size) {
  if (size <= this->size()) return IoStatus::kDone;
  if (is_block_device_) return IoStatus::kFailed;
  if (ftruncate(file_.get(), static_cast<off_t>(size)) != 0) return status_of_errno();
  at_least(size);
  return IoStatus::kDone;
}

File::IoStatus HostFile::discard(uint64_t offset, uint64_t length) {
  // A hint: a file system that cannot do it does nothing.
  const int done = fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             static_cast<off_t>(offset), static_cast<off_t>(length));
  return done == 0 || errno == EOPNOTSUPP || errno == ENODEV || errno == EINVAL ? IoStatus::kDone
                                                                                : status_of_errno();
}

File::IoStatus HostFile::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
  const int how = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
  if (fallocate(file_.get(), how | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(length)) == 0)
    return IoStatus::kDone;
  static std::array<uint8_t, 64 * 1024> zeroes{};  // never written
  for (uint64_t done = 0; done < length; done += zeroes.size()) {
    const iovec part = {zeroes.data(), static_cast<size_t>(std::min<uint64_t>(zeroes.size(), length - done))};
    if (const IoStatus status = write(offset + done, {&part, 1}); status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

void HostFile::let_go() { unlock_image(file_.get()); }

bool HostFile::take_back() {
  return lock_image(file_.get(), path_, read_only_ ? Access::kRead : Access::kWrite).has_value();
}

}  // namespace eidolon::backend::image
