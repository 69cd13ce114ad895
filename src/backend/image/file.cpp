#include "backend/image/file.h"

#include <algorithm>

#include "backend/image/parts.h"
#include "base/try.h"

namespace eidolon::backend::image {

IoResult<> read_bytes(File& file, uint64_t offset, std::span<uint8_t> into) {
  const iovec part = {into.data(), into.size()};
  return checked(file.read(offset, {&part, 1}));
}

IoResult<> write_bytes(File& file, uint64_t offset, std::span<const uint8_t> from) {
  const iovec part = {const_cast<uint8_t*>(from.data()), from.size()};  // File::write() only reads
  return checked(file.write(offset, {&part, 1}));
}

IoResult<> read_padded(File& file, uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into), size = file.size();
  const uint64_t inside = offset >= size ? 0 : std::min(total, size - offset);
  if (inside == total) return checked(file.read(offset, into));
  if (inside > 0) EIDOLON_TRY(checked(file.read(offset, part_of(into, 0, inside))));
  clear(part_of(into, inside, total - inside));
  return {};
}

}  // namespace eidolon::backend::image
