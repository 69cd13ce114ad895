#include "backend/image/probed_raw_medium.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "backend/image/format.h"
#include "backend/image/parts.h"

namespace eidolon::backend::image {

using device::storage::IoStatus;

IoStatus ProbedRawMedium::write(uint64_t offset, std::span<const iovec> from) {
  if (offset != 0) return raw_->write(offset, from);
  // The guest's memory may change under us: what was looked at is what is written.
  std::array<uint8_t, 512> sector{};
  size_t copied = 0;
  for (const iovec& part : part_of(from, 0, sector.size())) {
    std::memcpy(sector.data() + copied, part.iov_base, part.iov_len);
    copied += part.iov_len;
  }
  if (probe(sector) != Format::kRaw) {
    if (!said_.exchange(true) && say_)
      say_(
          fmt::format("the guest writes the start of another format into the raw disk '{}', which was opened "
                      "without a format; this fails, so if it is meant, name the format with ,format=raw",
                      name_));
    return IoStatus::kFailed;
  }
  std::vector<iovec> parts = {{sector.data(), copied}};
  const std::vector<iovec> rest = part_of(from, copied, bytes_of(from) - copied);
  parts.insert(parts.end(), rest.begin(), rest.end());
  return raw_->write(0, parts);
}

}  // namespace eidolon::backend::image
