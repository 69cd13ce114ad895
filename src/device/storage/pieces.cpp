#include "device/storage/pieces.h"

#include <algorithm>
#include <cstring>

namespace eidolon::device::storage {

void scatter(std::span<const uint8_t> bytes, std::span<const iovec> into) {
  for (const iovec& part : into) {
    const size_t length = std::min(part.iov_len, bytes.size());
    if (length != 0) std::memcpy(part.iov_base, bytes.data(), length);
    bytes = bytes.subspan(length);
  }
}

void gather(std::span<const iovec> from, std::span<uint8_t> bytes) {
  for (const iovec& part : from) {
    const size_t length = std::min(part.iov_len, bytes.size());
    if (length != 0) std::memcpy(bytes.data(), part.iov_base, length);
    bytes = bytes.subspan(length);
  }
}

std::vector<iovec> part_of(std::span<const iovec> pieces, uint64_t offset, uint64_t length) {
  std::vector<iovec> result;
  for (const iovec& piece : pieces) {
    if (length == 0) break;
    if (offset >= piece.iov_len) {
      offset -= piece.iov_len;
      continue;
    }
    const auto bytes = std::min<uint64_t>(piece.iov_len - offset, length);
    result.push_back({static_cast<uint8_t*>(piece.iov_base) + offset, bytes});
    length -= bytes;
    offset = 0;
  }
  return result;
}

}  // namespace eidolon::device::storage
