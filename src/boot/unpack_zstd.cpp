// Zstandard (RFC 8878), by libzstd.
#include <zstd.h>

#include <memory>

#include "boot/unpack.h"

namespace eidolon::boot {

std::optional<uint64_t> unpack_zstd(Image from, std::span<uint8_t> to) {
  constexpr int kLargestWindow = 27;  // 128 MiB; Linux packs with `zstd -22 --ultra`
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (context == nullptr ||
      ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kLargestWindow)))
    return std::nullopt;
  // In one piece: without a window of its own, and the size behind the frame is not taken for a frame.
  ZSTD_inBuffer in = {.src = from.data(), .size = from.size(), .pos = 0};
  ZSTD_outBuffer out = {.dst = to.data(), .size = to.size(), .pos = 0};
  for (;;) {
    const size_t before = in.pos + out.pos;
    const size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left)) return std::nullopt;
    if (left == 0) return out.pos;
    if (in.pos + out.pos == before) return std::nullopt;  // it wants more input or more room
  }
}

}  // namespace eidolon::boot
