#include "boot/unpack.h"

#include <sys/mman.h>

#include <algorithm>
#include <string_view>

#include "base/bits.h"

namespace eidolon::boot {

namespace {
constexpr uint64_t kLargePage = 2 << 20;

bool begins_with(Image image, std::string_view magic) {
  return image.size() >= magic.size() &&
         std::ranges::equal(image.first(magic.size()), magic,
                            [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
}
}  // namespace

Compression compression_of(Image payload) {
  using namespace std::string_view_literals;
  if (begins_with(payload,
                  "\x7f"
                  "ELF"sv))
    return Compression::kNone;
  if (begins_with(payload, "\x1f\x8b"sv)) return Compression::kGzip;
  if (begins_with(payload, "BZh"sv)) return Compression::kBzip2;
  if (begins_with(payload, "\x5d\0\0"sv)) return Compression::kLzma;
  if (begins_with(payload,
                  "\xfd"
                  "7zXZ\0"sv))
    return Compression::kXz;
  if (begins_with(payload, "\x02\x21\x4c\x18"sv)) return Compression::kLz4;
  if (begins_with(payload, "\x28\xb5\x2f\xfd"sv)) return Compression::kZstd;
  return Compression::kUnknown;
}

UnpackedBytes::UnpackedBytes(uint64_t size)
    : bytes_(static_cast<uint8_t*>(
          std::aligned_alloc(kLargePage, align_up(std::max<uint64_t>(size, 1), kLargePage)))),
      size_(size) {
  if (bytes_ == nullptr) size_ = 0;
  madvise(bytes_.get(), align_up(size, kLargePage), MADV_HUGEPAGE);  // a wish: refusal changes nothing
}

Result<UnpackedBytes> unpack(Compression compression, Image payload, uint64_t size) {
  UnpackedBytes unpacked(size);
  if (unpacked.bytes().size() != size)
    return fail(
        "the host has no memory to unpack the kernel in; end something else, or use --kernel-unpack guest");
  const auto run = [&]() -> std::optional<uint64_t> {
    switch (compression) {
      case Compression::kGzip:
        return unpack_gzip(payload, unpacked.bytes());
      case Compression::kBzip2:
        return unpack_bzip2(payload, unpacked.bytes());
      case Compression::kLzma:
        return unpack_lzma(payload, unpacked.bytes());
      case Compression::kXz:
        return unpack_xz(payload, unpacked.bytes());
      case Compression::kLz4:
        return unpack_lz4(payload, unpacked.bytes());
      case Compression::kZstd:
        return unpack_zstd(payload, unpacked.bytes());
      case Compression::kNone:
      case Compression::kUnknown:
        break;
    }
    return std::nullopt;
  };
  if (run() != size)
    return fail(
        "the compressed kernel in it is damaged; copy it again, or let it unpack itself with --kernel-unpack "
        "guest");
  return unpacked;
}

}  // namespace eidolon::boot
