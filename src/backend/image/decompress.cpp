#include "backend/image/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <memory>

namespace eidolon::backend::image {

namespace {

bool inflate_with(int window_bits, std::span<const uint8_t> from, std::span<uint8_t> into, Shorter shorter) {
  z_stream stream{};
  if (inflateInit2(&stream, window_bits) != Z_OK) return false;
  stream.next_in = const_cast<uint8_t*>(from.data());  // zlib only reads
  stream.avail_in = static_cast<unsigned>(from.size());
  stream.next_out = into.data();
  stream.avail_out = static_cast<unsigned>(into.size());
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (shorter == Shorter::kPadded && result == Z_STREAM_END) {
    std::memset(stream.next_out, 0, stream.avail_out);
    return true;
  }
  return (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK) && stream.avail_out == 0;
}

}  // namespace

bool inflate_raw(std::span<const uint8_t> from, std::span<uint8_t> into) {
  return inflate_with(-MAX_WBITS, from, into, Shorter::kRefused);
}

bool inflate_zlib(std::span<const uint8_t> from, std::span<uint8_t> into, Shorter shorter) {
  return inflate_with(MAX_WBITS, from, into, shorter);
}

bool decompress_zstd(std::span<const uint8_t> from, std::span<uint8_t> into) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) return false;
  ZSTD_inBuffer input = {from.data(), from.size(), 0};
  ZSTD_outBuffer output = {into.data(), into.size(), 0};
  while (output.pos < output.size) {
    const size_t before = input.pos + output.pos;
    if (ZSTD_isError(ZSTD_decompressStream(context.get(), &output, &input))) return false;
    if (input.pos + output.pos == before) return false;  // the input ended
  }
  return true;
}

}  // namespace eidolon::backend::image
