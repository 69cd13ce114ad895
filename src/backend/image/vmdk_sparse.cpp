// Sparse extents: hosted ones ("KDMV"), as monolithicSparse, twoGbMaxExtentSparse and streamOptimized have
// them.
#include <algorithm>
#include <array>

#include "backend/image/decompress.h"
#include "backend/image/little_endian.h"
#include "backend/image/parts.h"
#include "backend/image/vmdk_extent.h"
#include "base/try.h"

namespace eidolon::backend::image {

namespace {

constexpr uint64_t kSector = 512;
constexpr uint32_t kMagic = 0x564d444b;  // "KDMV"
constexpr unsigned kVersionAt = 4, kFlagsAt = 8, kCapacityAt = 12, kGrainAt = 20, kDescriptorAt = 28,
                   kDescriptorSizeAt = 36, kTableEntriesAt = 44, kDirectoryAt = 56, kCompressionAt = 77;
constexpr uint32_t kHasZeroGrains = 1u << 2, kCompressed = 1u << 16, kHasMarkers = 1u << 17;
constexpr uint64_t kDirectoryAtEnd = ~uint64_t{0};
constexpr uint64_t kMostDirectoryBytes = 64u << 20;

struct SparseHeader {
  uint32_t flags = 0;
  uint64_t capacity = 0, grain = 0, descriptor = 0, descriptor_size = 0, directory = 0;  ///< sectors
  uint32_t table_entries = 0;
  uint16_t compression = 0;
};

Result<SparseHeader> read_header(File& file, uint64_t offset, const std::string& name) {
  std::array<uint8_t, kSector> bytes;
  if (!read_bytes(file, offset, bytes) || load_little_endian<uint32_t>(bytes.data()) != kMagic)
    return fail("image '{}' has no sparse extent where one should be; restore it from a copy", name);
  const auto u32 = [&bytes](unsigned at) { return load_little_endian<uint32_t>(&bytes[at]); };
  const auto u64 = [&bytes](unsigned at) { return load_little_endian<uint64_t>(&bytes[at]); };
  if (u32(kVersionAt) < 1 || u32(kVersionAt) > 3)
    return fail("image '{}' is VMDK version {}, which is not supported; convert it with qemu-img convert",
                name, u32(kVersionAt));
  return SparseHeader{.flags = u32(kFlagsAt),
                      .capacity = u64(kCapacityAt),
                      .grain = u64(kGrainAt),
                      .descriptor = u64(kDescriptorAt),
                      .descriptor_size = u64(kDescriptorSizeAt),
                      .directory = u64(kDirectoryAt),
                      .table_entries = u32(kTableEntriesAt),
                      .compression = load_little_endian<uint16_t>(&bytes[kCompressionAt])};
}

class Sparse final : public VmdkPart {
 public:
  Sparse(std::unique_ptr<File> file, const SparseHeader& header, std::vector<uint32_t> directory)
      : file_(std::move(file)),
        header_(header),
        directory_(std::move(directory)),
        tables_(*file_, uint64_t{header.table_entries} * 4, 256) {}
  [[nodiscard]] uint64_t size() const override { return header_.capacity * kSector; }
  [[nodiscard]] IoResult<> read(uint64_t offset, std::span<const iovec> into) override;

 private:
  /// The sector of a grain; 0: not there.
  IoResult<uint64_t> find(uint64_t grain);
  IoResult<> read_compressed(uint64_t sector, uint64_t within, std::span<const iovec> into);
  IoResult<std::vector<uint8_t>> unpack(uint64_t sector);

  const std::unique_ptr<File> file_;
  const SparseHeader header_;
  const std::vector<uint32_t> directory_;
  Tables tables_;
  std::mutex mutex_;
  uint64_t unpacked_sector_ = 0;  ///< of the grain unpacked last; 0: none
  std::vector<uint8_t> unpacked_;
};

IoResult<uint64_t> Sparse::find(uint64_t grain) {
  const uint64_t table = directory_[grain / header_.table_entries] * kSector;
  if (table == 0) return uint64_t{0};
  if (table >= file_->size()) return io_failed();
  std::array<uint8_t, 4> entry;
  EIDOLON_TRY(tables_.read(table, grain % header_.table_entries * 4, entry));
  const auto sector = load_little_endian<uint32_t>(entry.data());
  return uint64_t{sector == 1 && (header_.flags & kHasZeroGrains) != 0 ? 0 : sector};
}

IoResult<> Sparse::read(uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into), grain_bytes = header_.grain * kSector;
  for (uint64_t done = 0; done < total;) {
    const uint64_t at = offset + done, within = at % grain_bytes;
    const uint64_t length = std::min(total - done, grain_bytes - within);
    const std::vector<iovec> parts = part_of(into, done, length);
    const uint64_t sector = EIDOLON_TRY(find(at / grain_bytes));
    if (sector == 0) {
      clear(parts);
    } else if (sector * kSector >= file_->size()) {
      return io_failed();
    } else if ((header_.flags & kCompressed) != 0) {
      EIDOLON_TRY(read_compressed(sector, within, parts));
    } else {
      EIDOLON_TRY(read_padded(*file_, sector * kSector + within, parts));
    }
    done += length;
  }
  return {};
}

IoResult<> Sparse::read_compressed(uint64_t sector, uint64_t within, std::span<const iovec> into) {
  std::lock_guard lock(mutex_);
  if (unpacked_sector_ != sector) {
    unpacked_sector_ = 0;
    unpacked_ = EIDOLON_TRY(unpack(sector));
    unpacked_sector_ = sector;
  }
  scatter(std::span<const uint8_t>(unpacked_).subspan(within), into);
  return {};
}

/// Before a compressed grain stands a marker: the sector of the disk (8 bytes), the length in bytes (4).
IoResult<std::vector<uint8_t>> Sparse::unpack(uint64_t sector) {
  std::vector<uint8_t> grain(header_.grain * kSector);
  uint64_t at = sector * kSector, length = grain.size() * 2;
  if ((header_.flags & kHasMarkers) != 0) {
    std::array<uint8_t, 12> marker;
    EIDOLON_TRY(read_bytes(*file_, at, marker));
    length = load_little_endian<uint32_t>(&marker[8]);
    at += marker.size();
  }
  if (length == 0 || length > grain.size() * 2 || at >= file_->size()) return io_failed();
  std::vector<uint8_t> packed(length);
  const iovec part = {packed.data(), packed.size()};
  EIDOLON_TRY(read_padded(*file_, at, {&part, 1}));
  // The last grain of a disk may be shorter.
  if (!inflate_zlib(packed, grain, Shorter::kPadded)) return io_failed();
  return grain;
}

}  // namespace

Result<std::string> read_vmdk_descriptor(File& file, const std::string& name) {
  const SparseHeader header = EIDOLON_TRY(read_header(file, 0, name));
  constexpr uint64_t kMostSectors = 2048;
  if (header.descriptor == 0 || header.descriptor_size == 0) return std::string();
  if (header.descriptor_size > kMostSectors || header.descriptor >= file.size() / kSector)
    return fail("image '{}' is damaged: its descriptor is at an impossible place; restore it from a copy",
                name);
  std::vector<uint8_t> bytes(header.descriptor_size * kSector);
  const iovec part = {bytes.data(), bytes.size()};
  if (!read_padded(file, header.descriptor * kSector, {&part, 1}))
    return fail("cannot read the descriptor of image '{}'; see whether its disk is sound", name);
  return std::string(bytes.begin(), std::find(bytes.begin(), bytes.end(), 0));
}

Result<std::unique_ptr<VmdkPart>> open_vmdk_sparse(std::unique_ptr<File> file, const std::string& name) {
  const auto damaged = [&name](std::string_view what) {
    return fail("image '{}' is damaged: {}; restore it from a copy", name, what);
  };
  SparseHeader header = EIDOLON_TRY(read_header(*file, 0, name));
  if (header.directory == kDirectoryAtEnd) {
    // A stream's writer knows its directory last: in a footer, before the end marker of one sector.
    if (file->size() < 3 * kSector) return damaged("it is too short");
    header = EIDOLON_TRY(read_header(*file, file->size() - 2 * kSector, name));
  }
  constexpr uint64_t kMostCapacity = uint64_t{1} << 46, kMostGrain = 4096;  // sectors
  if (header.capacity == 0 || header.capacity > kMostCapacity || header.grain < 8 ||
      header.grain > kMostGrain || (header.grain & (header.grain - 1)) != 0 || header.table_entries == 0 ||
      header.table_entries > 4096)
    return damaged("its sizes are impossible");
  if ((header.flags & kCompressed) != 0 && header.compression != 1)
    return fail("image '{}' is compressed in a way that is not supported; convert it with qemu-img convert",
                name);
  const uint64_t per_table = header.grain * header.table_entries;
  const uint64_t tables = (header.capacity + per_table - 1) / per_table;
  if (tables * 4 > kMostDirectoryBytes || header.directory >= file->size() / kSector)
    return damaged("its directory is at an impossible place");
  std::vector<uint8_t> bytes(tables * 4);
  const iovec part = {bytes.data(), bytes.size()};
  if (!read_padded(*file, header.directory * kSector, {&part, 1}))
    return damaged("its directory cannot be read");
  std::vector<uint32_t> directory(tables);
  for (uint64_t i = 0; i < tables; ++i) directory[i] = load_little_endian<uint32_t>(&bytes[i * 4]);
  return std::make_unique<Sparse>(std::move(file), header, std::move(directory));
}

}  // namespace eidolon::backend::image
