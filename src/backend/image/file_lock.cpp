#include "backend/image/file_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace eidolon::backend::image {

namespace {

// Permissions, as the number of their byte.
constexpr unsigned kConsistentRead = 1u << 0, kWrite = 1u << 1, kResize = 1u << 3;
constexpr unsigned kPermissions = 5;
constexpr off_t kNeededAt = 100, kNotSharedAt = 200;

struct flock byte_at(off_t place, short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = place;
  range.l_len = 1;
  return range;
}

Result<> take(int fd, const std::string& path, off_t base, unsigned permissions) {
  for (unsigned n = 0; n < kPermissions; ++n) {
    if ((permissions >> n & 1) == 0) continue;
    struct flock range = byte_at(base + n, F_RDLCK);
    if (fcntl(fd, F_OFD_SETLK, &range) == 0) continue;
    if (errno == EAGAIN || errno == EACCES)
      return fail("image '{}' is locked by another program; end that one first", path);
    return fail("cannot lock image '{}' ({}); put it on a file system with locks", path, strerror(errno));
  }
  return {};
}

Result<> see_nobody(int fd, const std::string& path, off_t base, unsigned permissions) {
  for (unsigned n = 0; n < kPermissions; ++n) {
    if ((permissions >> n & 1) == 0) continue;
    struct flock range = byte_at(base + n, F_WRLCK);
    if (fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK) continue;
    return fail(
        "image '{}' is in use by another machine; stop that one, or open it with ,readonly here and there",
        path);
  }
  return {};
}

}  // namespace

Result<> lock_image(int fd, const std::string& path, Access access) {
  const unsigned needed = access == Access::kWrite ? kConsistentRead | kWrite | kResize : kConsistentRead;
  const unsigned not_shared =
      access == Access::kWrite ? kConsistentRead | kWrite | kResize : kWrite | kResize;
  // First taken, then looked: of two who come at once, both may be refused, but never both be let in.
  EIDOLON_TRY(take(fd, path, kNeededAt, needed));
  EIDOLON_TRY(take(fd, path, kNotSharedAt, not_shared));
  EIDOLON_TRY(see_nobody(fd, path, kNotSharedAt, needed));
  return see_nobody(fd, path, kNeededAt, not_shared);
}

void unlock_image(int fd) {
  for (const off_t base : {kNeededAt, kNotSharedAt}) {
    struct flock range = byte_at(base, F_UNLCK);
    range.l_len = kPermissions;
    (void)fcntl(fd, F_OFD_SETLK, &range);
  }
}

}  // namespace eidolon::backend::image
