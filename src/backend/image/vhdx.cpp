#include "backend/image/vhdx.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "backend/image/block_map_medium.h"
#include "backend/image/crc32c.h"
#include "backend/image/little_endian.h"
#include "base/try.h"

namespace eidolon::backend::image {

namespace {

using Guid = std::array<uint8_t, 16>;
constexpr Guid kBatRegion = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                             0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
constexpr Guid kMetadataRegion = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                  0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
constexpr Guid kFileParameters = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                                  0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};
constexpr Guid kDiskSize = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
                            0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
constexpr Guid kSectorSize = {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
                              0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f};

constexpr std::array<uint64_t, 2> kHeaders = {64 * 1024, 128 * 1024},
                                  kRegionTables = {192 * 1024, 256 * 1024};
constexpr size_t kHeaderBytes = 4096, kTableBytes = 64 * 1024;
constexpr uint64_t kMiB = 1 << 20, kMostBatBytes = 64 * kMiB, kMostMetadataBytes = kMiB;

struct Region {
  uint64_t offset;
  uint64_t length;
};

/// A structure with a signature and a checksum over `length` bytes; nothing if they are wrong.
std::optional<std::vector<uint8_t>> read_checked(File& file, uint64_t offset, size_t length,
                                                 std::string_view signature) {
  std::vector<uint8_t> bytes(length);
  if (!read_bytes(file, offset, bytes)) return std::nullopt;
  const auto sum = load_little_endian<uint32_t>(&bytes[4]);
  std::fill_n(bytes.begin() + 4, 4, 0);
  if (!std::equal(signature.begin(), signature.end(), bytes.begin()) || crc32c(bytes) != sum)
    return std::nullopt;
  return bytes;
}

class Vhdx {
 public:
  Vhdx(File& file, const std::string& name) : file_(file), name_(name) {}
  Result<BlockMapMedium::Map> read() {
    EIDOLON_TRY(read_header());
    EIDOLON_TRY(read_regions());
    EIDOLON_TRY(read_metadata());
    return read_blocks();
  }

 private:
  Result<> read_header();
  Result<> read_regions();
  Result<> read_metadata();
  Result<> read_item(const Guid& id, std::span<const uint8_t> item);
  Result<BlockMapMedium::Map> read_blocks();
  [[nodiscard]] std::unexpected<Error> damaged(std::string_view what) const {
    return fail("image '{}' is damaged: {}; restore it from a copy", name_, what);
  }

  File& file_;
  const std::string& name_;
  std::optional<Region> bat_, metadata_;
  uint64_t size_ = 0, block_bytes_ = 0, sector_bytes_ = 0;
};

/// Of two headers the one written last counts.
Result<> Vhdx::read_header() {
  std::optional<std::vector<uint8_t>> current;
  for (const uint64_t offset : kHeaders) {
    auto header = read_checked(file_, offset, kHeaderBytes, "head");
    const auto sequence = [](const std::vector<uint8_t>& bytes) {
      return load_little_endian<uint64_t>(&bytes[8]);
    };
    if (header && (!current || sequence(*header) > sequence(*current))) current = std::move(header);
  }
  if (!current) return damaged("it has no header");
  if (load_little_endian<uint16_t>(&(*current)[66]) != 1)
    return fail("image '{}' is VHDX of a version that is not supported; convert it with qemu-img convert",
                name_);
  const bool log_is_empty =
      std::all_of(current->begin() + 48, current->begin() + 64, [](uint8_t byte) { return byte == 0; });
  if (!log_is_empty)
    return fail(
        "image '{}' was not closed and has a log to replay; do that with qemu-img check -r all, then try "
        "again",
        name_);
  return {};
}

Result<> Vhdx::read_regions() {
  std::optional<std::vector<uint8_t>> table;
  for (const uint64_t offset : kRegionTables)
    if (!table) table = read_checked(file_, offset, kTableBytes, "regi");
  if (!table) return damaged("it has no region table");
  const uint32_t count = load_little_endian<uint32_t>(&(*table)[8]);
  if (count > 2047) return damaged("its region table is too long");
  for (uint32_t i = 0; i < count; ++i) {
    const uint8_t* entry = &(*table)[16 + i * 32];
    const Region region = {.offset = load_little_endian<uint64_t>(entry + 16),
                           .length = load_little_endian<uint32_t>(entry + 24)};
    if (std::equal(kBatRegion.begin(), kBatRegion.end(), entry)) {
      bat_ = region;
    } else if (std::equal(kMetadataRegion.begin(), kMetadataRegion.end(), entry)) {
      metadata_ = region;
    } else if ((load_little_endian<uint32_t>(entry + 28) & 1) != 0) {
      return fail(
          "image '{}' needs a region that this program does not know; convert it with qemu-img convert",
          name_);
    }
  }
  if (!bat_ || !metadata_) return damaged("a region is missing");
  return {};
}

Result<> Vhdx::read_metadata() {
  if (metadata_->length < kTableBytes) return damaged("its metadata is too short");
  std::vector<uint8_t> bytes(std::min(metadata_->length, kMostMetadataBytes));
  if (!read_bytes(file_, metadata_->offset, bytes)) return damaged("it is shorter than its metadata");
  constexpr std::string_view kSignature = "metadata";
  if (!std::equal(kSignature.begin(), kSignature.end(), bytes.begin())) return damaged("it has no metadata");
  const uint16_t count = load_little_endian<uint16_t>(&bytes[10]);
  if (count > 2047) return damaged("its metadata table is too long");
  for (uint16_t i = 0; i < count; ++i) {
    const uint8_t* entry = &bytes[32 + i * 32];
    Guid id;
    std::copy_n(entry, id.size(), id.begin());
    const uint64_t offset = load_little_endian<uint32_t>(entry + 16),
                   length = load_little_endian<uint32_t>(entry + 20);
    if (offset > bytes.size() || length > bytes.size() - offset) return damaged("its metadata lies outside");
    EIDOLON_TRY(read_item(id, std::span(bytes).subspan(offset, length)));
  }
  const bool sound = size_ > 0 && size_ % 512 == 0 && block_bytes_ >= kMiB && block_bytes_ <= 256 * kMiB &&
                     (block_bytes_ & (block_bytes_ - 1)) == 0 &&
                     (sector_bytes_ == 512 || sector_bytes_ == 4096);
  return sound ? Result<>{} : damaged("its sizes are impossible");
}

Result<> Vhdx::read_item(const Guid& id, std::span<const uint8_t> item) {
  if (id == kFileParameters && item.size() >= 8) {
    block_bytes_ = load_little_endian<uint32_t>(item.data());
    constexpr uint32_t kHasParent = 2;
    if ((load_little_endian<uint32_t>(item.data() + 4) & kHasParent) != 0)
      return fail(
          "image '{}' stands on another one, which is not supported for VHDX; merge it with its parent",
          name_);
  }
  if (id == kDiskSize && item.size() >= 8) size_ = load_little_endian<uint64_t>(item.data());
  if (id == kSectorSize && item.size() >= 4) sector_bytes_ = load_little_endian<uint32_t>(item.data());
  return {};
}

/// After so many blocks there is an entry for a bitmap, which only images with a parent use.
Result<BlockMapMedium::Map> Vhdx::read_blocks() {
  const uint64_t blocks = size_ / block_bytes_ + (size_ % block_bytes_ != 0 ? 1 : 0);
  const uint64_t ratio = (sector_bytes_ << 23) / block_bytes_;
  if (blocks > kMostBatBytes / 8)
    return fail("image '{}' is too large; convert it with qemu-img convert", name_);
  const uint64_t entries = blocks + (blocks - 1) / ratio;
  if (entries * 8 > bat_->length) return damaged("its block table is too short");
  std::vector<uint8_t> bytes(entries * 8);
  if (!read_bytes(file_, bat_->offset, bytes)) return damaged("it is shorter than its block table");
  BlockMapMedium::Map map{
      .size = size_, .block_bytes = block_bytes_, .places = std::vector<uint64_t>(blocks)};
  for (uint64_t block = 0; block < blocks; ++block) {
    const auto entry = load_little_endian<uint64_t>(&bytes[(block + block / ratio) * 8]);
    constexpr uint64_t kFullyPresent = 6, kPartlyPresent = 7;
    const uint64_t state = entry & 7, place = entry >> 20 << 20;
    if (state == kPartlyPresent || state == 4 || state == 5)
      return damaged("its block table has an impossible state");
    map.places[block] = state == kFullyPresent ? place : BlockMapMedium::kNowhere;
    if (state == kFullyPresent && place < kMiB) return damaged("a block lies over its headers");
  }
  return map;
}

}  // namespace

Result<std::unique_ptr<device::storage::Medium>> open_vhdx(std::unique_ptr<File> file,
                                                           const std::string& name) {
  BlockMapMedium::Map map = EIDOLON_TRY(Vhdx(*file, name).read());
  return std::make_unique<BlockMapMedium>(std::move(file), std::move(map));
}

}  // namespace eidolon::backend::image
