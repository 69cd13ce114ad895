// LZ4's legacy frame, which Linux uses (LZ4: doc/lz4_Frame_format.md, "Legacy frame"): the magic number, then
// blocks of at most 8 MiB unpacked, each behind its packed size. The blocks are liblz4's.
#include <lz4.h>

#include <algorithm>

#include "boot/unpack.h"

namespace eidolon::boot {

std::optional<uint64_t> unpack_lz4(Image from, std::span<uint8_t> to) {
  constexpr uint64_t kMagicBytes = 4;
  constexpr uint64_t kBlock = 8 << 20;
  uint64_t done = 0;
  uint64_t at = kMagicBytes;
  while (done < to.size()) {
    const uint64_t packed = field<uint32_t>(from, at);
    at += sizeof(uint32_t);
    if (packed == 0 || packed > LZ4_COMPRESSBOUND(kBlock) || !contains(from, at, packed)) return std::nullopt;
    const uint64_t room = std::min(kBlock, to.size() - done);
    const int unpacked = LZ4_decompress_safe(
        reinterpret_cast<const char*>(from.data() + at),  // SAFETY: bytes
        reinterpret_cast<char*>(to.data() + done), static_cast<int>(packed), static_cast<int>(room));
    if (unpacked <= 0) return std::nullopt;
    at += packed;
    done += static_cast<uint64_t>(unpacked);
  }
  return done;
}

}  // namespace eidolon::boot
