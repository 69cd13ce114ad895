// bzip2, by libbz2.
#include <bzlib.h>

#include "boot/unpack.h"

namespace eidolon::boot {

std::optional<uint64_t> unpack_bzip2(Image from, std::span<uint8_t> to) {
  if (from.size() > UINT32_MAX || to.size() > UINT32_MAX) return std::nullopt;
  bz_stream stream{};
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) return std::nullopt;
  // It is not written; the interface is older than const, and takes bytes as chars. SAFETY: bytes.
  stream.next_in = const_cast<char*>(reinterpret_cast<const char*>(from.data()));
  stream.avail_in = static_cast<unsigned>(from.size());
  stream.next_out = reinterpret_cast<char*>(to.data());
  stream.avail_out = static_cast<unsigned>(to.size());
  const int status = BZ2_bzDecompress(&stream);
  const uint64_t done = to.size() - stream.avail_out;
  BZ2_bzDecompressEnd(&stream);
  if (status != BZ_STREAM_END) return std::nullopt;
  return done;
}

}  // namespace eidolon::boot
