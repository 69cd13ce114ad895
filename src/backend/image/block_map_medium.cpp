#include "backend/image/block_map_medium.h"

#include <algorithm>

#include "backend/image/parts.h"

namespace eidolon::backend::image {

using device::storage::IoStatus;

IoStatus BlockMapMedium::read(uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into);
  for (uint64_t done = 0; done < total;) {
    const uint64_t at = offset + done, within = at % map_.block_bytes;
    const uint64_t length = std::min(total - done, map_.block_bytes - within);
    const std::vector<iovec> parts = part_of(into, done, length);
    const uint64_t place = map_.places[at / map_.block_bytes];
    if (place == kNowhere) {
      clear(parts);
    } else if (place >= file_->size()) {
      return IoStatus::kFailed;
    } else if (const IoResult<> read = read_padded(*file_, place + within, parts); !read) {
      return read.error();
    }
    done += length;
  }
  return IoStatus::kDone;
}

}  // namespace eidolon::backend::image
