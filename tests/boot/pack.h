// Packing as Linux's build does it, for the tests of unpacking.
#pragma once

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace eidolon::boot {

using Bytes = std::vector<uint8_t>;

inline void require(bool done) {
  if (!done) throw std::runtime_error("packing failed");
}

inline Bytes pack_gzip(const Bytes& from) {
  Bytes to(from.size() + 1024);
  z_stream stream{};
  require(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = const_cast<Bytef*>(from.data());
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = to.data();
  stream.avail_out = static_cast<uInt>(to.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  to.resize(to.size() - stream.avail_out);
  deflateEnd(&stream);
  return to;
}

inline Bytes pack_bzip2(const Bytes& from) {
  Bytes to(from.size() + 1024);
  auto size = static_cast<unsigned>(to.size());
  require(BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(to.data()), &size,
                                   const_cast<char*>(reinterpret_cast<const char*>(from.data())),
                                   static_cast<unsigned>(from.size()), 9, 0, 0) == BZ_OK);
  to.resize(size);
  return to;
}

inline Bytes finish(lzma_stream& stream, const Bytes& from) {
  Bytes to(from.size() + 1024);
  stream.next_in = from.data();
  stream.avail_in = from.size();
  stream.next_out = to.data();
  stream.avail_out = to.size();
  require(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
  to.resize(to.size() - stream.avail_out);
  lzma_end(&stream);
  return to;
}

inline Bytes pack_lzma(const Bytes& from) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_options_lzma options;
  require(!lzma_lzma_preset(&options, 1));
  require(lzma_alone_encoder(&stream, &options) == LZMA_OK);
  return finish(stream, from);
}

inline Bytes pack_xz(const Bytes& from) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_options_lzma options;
  require(!lzma_lzma_preset(&options, 1));
  const lzma_filter filters[] = {
      {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  require(lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC32) == LZMA_OK);
  return finish(stream, from);
}

inline Bytes pack_zstd(const Bytes& from) {
  Bytes to(ZSTD_compressBound(from.size()));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  const size_t size = ZSTD_compress2(context, to.data(), to.size(), from.data(), from.size());
  ZSTD_freeCCtx(context);
  require(!ZSTD_isError(size));
  to.resize(size);
  return to;
}

inline Bytes pack_lz4(const Bytes& from) {
  constexpr size_t kBlock = 8 << 20;
  Bytes to = {0x02, 0x21, 0x4c, 0x18};
  for (size_t at = 0; at < from.size(); at += kBlock) {
    const auto size = static_cast<int>(std::min(kBlock, from.size() - at));
    Bytes block(static_cast<size_t>(LZ4_compressBound(size)));
    const int packed =
        LZ4_compress_default(reinterpret_cast<const char*>(from.data() + at),
                             reinterpret_cast<char*>(block.data()), size, static_cast<int>(block.size()));
    require(packed > 0);
    for (unsigned shift = 0; shift < 32; shift += 8) to.push_back(static_cast<uint8_t>(packed >> shift));
    to.insert(to.end(), block.begin(), block.begin() + packed);
  }
  return to;
}

}  // namespace eidolon::boot
