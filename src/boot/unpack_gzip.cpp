// gzip (RFC 1952), by zlib.
#include <zlib.h>

#include "boot/unpack.h"

namespace eidolon::boot {

std::optional<uint64_t> unpack_gzip(Image from, std::span<uint8_t> to) {
  constexpr int kGzipOnly = 16;
  if (from.size() > UINT32_MAX || to.size() > UINT32_MAX) return std::nullopt;
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) return std::nullopt;
  stream.next_in =
      const_cast<Bytef*>(from.data());  // it is not written; zlib's interface is older than const
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = to.data();
  stream.avail_out = static_cast<uInt>(to.size());
  const int status = inflate(&stream, Z_FINISH);
  const uint64_t done = to.size() - stream.avail_out;
  inflateEnd(&stream);
  if (status != Z_STREAM_END) return std::nullopt;
  return done;
}

}  // namespace eidolon::boot
