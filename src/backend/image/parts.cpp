#include "backend/image/parts.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace eidolon::backend::image {

using device::storage::IoStatus;

uint64_t bytes_of(std::span<const iovec> parts) {
  uint64_t sum = 0;
  for (const iovec& part : parts) sum += part.iov_len;
  return sum;
}

void clear(std::span<const iovec> parts) {
  for (const iovec& part : parts) std::memset(part.iov_base, 0, part.iov_len);
}

bool is_zero(std::span<const uint8_t> bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

IoStatus status_of_errno() {
  return errno == ENOSPC || errno == EDQUOT ? IoStatus::kNoSpace : IoStatus::kFailed;
}

namespace {

template <typename Call>
IoStatus transfer(Call call, uint64_t offset, std::span<const iovec> parts) {
  const uint64_t total = bytes_of(parts);
  for (uint64_t done = 0; done < total;) {
    const std::vector<iovec> left = part_of(parts, done, total - done);
    const ssize_t count = call(left.data(), static_cast<int>(std::min<size_t>(left.size(), IOV_MAX)),
                               static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return status_of_errno();
    if (count == 0) return IoStatus::kFailed;  // the file got shorter behind our back
    done += static_cast<uint64_t>(count);
  }
  return IoStatus::kDone;
}

}  // namespace

IoStatus read_all(int fd, uint64_t offset, std::span<const iovec> into) {
  return transfer([fd](const iovec* parts, int count, off_t at) { return preadv(fd, parts, count, at); },
                  offset, into);
}

IoStatus write_all(int fd, uint64_t offset, std::span<const iovec> from) {
  return transfer([fd](const iovec* parts, int count, off_t at) { return pwritev(fd, parts, count, at); },
                  offset, from);
}

}  // namespace eidolon::backend::image
