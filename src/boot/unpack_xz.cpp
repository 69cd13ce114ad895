// xz and its forerunner LZMA ("lzma alone"), by liblzma.
#include <lzma.h>

#include "boot/unpack.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kMemoryLimit = uint64_t{256} << 20;  // Linux asks for dictionaries of up to 32 MiB

std::optional<uint64_t> run(lzma_stream& stream, Image from, std::span<uint8_t> to) {
  stream.next_in = from.data();
  stream.avail_in = from.size();
  stream.next_out = to.data();
  stream.avail_out = to.size();
  lzma_ret status = LZMA_OK;
  // What follows the end (the size, padding) is nothing to the decoder; a full buffer with more to come is
  // LZMA_BUF_ERROR.
  while (status == LZMA_OK) status = lzma_code(&stream, LZMA_RUN);
  const uint64_t done = to.size() - stream.avail_out;
  lzma_end(&stream);
  if (status != LZMA_STREAM_END) return std::nullopt;
  return done;
}

}  // namespace

std::optional<uint64_t> unpack_xz(Image from, std::span<uint8_t> to) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMemoryLimit, 0) != LZMA_OK) return std::nullopt;
  return run(stream, from, to);
}

std::optional<uint64_t> unpack_lzma(Image from, std::span<uint8_t> to) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_decoder(&stream, kMemoryLimit) != LZMA_OK) return std::nullopt;
  return run(stream, from, to);
}

}  // namespace eidolon::boot
