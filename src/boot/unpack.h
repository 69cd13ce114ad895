// Unpacking a compressed kernel on the host, by the libraries that own the formats. Formats are told by their
// magic numbers, as the boot protocol has it (Linux: Documentation/arch/x86/boot.rst, payload_offset).
//
// Linux packs with gzip, bzip2, LZMA, xz, LZO, LZ4 and Zstandard. LZO is not here: its library's licence does
// not go with ours. Input is hostile: it cannot make an unpacker write more than it was given room for.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "boot/image.h"

namespace eidolon::boot {

enum class Compression : uint8_t { kNone, kGzip, kBzip2, kLzma, kXz, kLz4, kZstd, kUnknown };

/// kNone is an ELF file as it is.
[[nodiscard]] Compression compression_of(Image payload);

/// Bytes that the host gives in large pages if it can: they are written once and read once.
class UnpackedBytes {
 public:
  explicit UnpackedBytes(uint64_t size);
  [[nodiscard]] std::span<uint8_t> bytes() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<uint8_t[], Free> bytes_;
  uint64_t size_;
};

/// What `payload` was made from, `size` bytes. Fails if it is damaged or is less than that; what it has
/// beyond is not looked at. Not for kNone and kUnknown.
[[nodiscard]] Result<UnpackedBytes> unpack(Compression compression, Image payload, uint64_t size);

// The formats: each fills `to` from `from` and returns how many bytes there were, or nothing if the data is
// damaged.
[[nodiscard]] std::optional<uint64_t> unpack_gzip(Image from, std::span<uint8_t> to);
[[nodiscard]] std::optional<uint64_t> unpack_bzip2(Image from, std::span<uint8_t> to);
[[nodiscard]] std::optional<uint64_t> unpack_lzma(Image from, std::span<uint8_t> to);
[[nodiscard]] std::optional<uint64_t> unpack_xz(Image from, std::span<uint8_t> to);
[[nodiscard]] std::optional<uint64_t> unpack_lz4(Image from, std::span<uint8_t> to);
[[nodiscard]] std::optional<uint64_t> unpack_zstd(Image from, std::span<uint8_t> to);

}  // namespace eidolon::boot
