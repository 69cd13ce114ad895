#include "backend/image/qcow2_header.h"

#include <algorithm>
#include <string_view>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

namespace {

/// The bytes of the header as far as they are there.
class Bytes {
 public:
  explicit Bytes(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] uint32_t u32(uint64_t offset) const { return load_big_endian<uint32_t>(&bytes_[offset]); }
  [[nodiscard]] uint64_t u64(uint64_t offset) const { return load_big_endian<uint64_t>(&bytes_[offset]); }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] std::string text(uint64_t offset, uint64_t length) const {
    return {bytes_.begin() + static_cast<ptrdiff_t>(offset),
            bytes_.begin() + static_cast<ptrdiff_t>(offset + length)};
  }

 private:
  std::vector<uint8_t> bytes_;
};

/// The names that a format's writer gave to its feature bits are for people.
Result<> check_features(const Header& header, const std::string& name) {
  if ((header.incompatible & kIncompatibleDataFile) != 0)
    return fail(
        "image '{}' keeps its data in another file, which is not supported; convert it with qemu-img convert",
        name);
  if ((header.incompatible & kIncompatibleExtendedL2) != 0)
    return fail(
        "image '{}' has extended L2 entries, which are not supported; convert it with qemu-img convert -o "
        "extended_l2=off",
        name);
  const uint64_t known = kIncompatibleDirty | kIncompatibleCorrupt | kIncompatibleCompression;
  if (const uint64_t unknown = header.incompatible & ~known; unknown != 0)
    return fail(
        "image '{}' needs features that this program does not know (bits {:#x}); convert it with the program "
        "that made it",
        name, unknown);
  return {};
}

void read_version3(const Bytes& bytes, Header& header) {
  header.incompatible = bytes.u64(at::kIncompatible);
  header.compatible = bytes.u64(at::kCompatible);
  header.autoclear = bytes.u64(at::kAutoclear);
  header.refcount_order = bytes.u32(at::kRefcountOrder);
  header.length = bytes.u32(at::kHeaderLength);
}

/// A table of `length` bytes: on a cluster's boundary, and where a file can have it.
bool is_place(const Header& header, uint64_t offset, uint64_t length) {
  constexpr uint64_t kFarthest = uint64_t{1} << 56;
  return offset % header.cluster_bytes() == 0 && offset != 0 && offset < kFarthest && length < kFarthest;
}

Result<> check_numbers(const Header& header, const std::string& name) {
  const auto damaged = [&name](std::string_view what) {
    return fail("image '{}' is damaged: {}; restore it from a copy, or see what qemu-img check says", name,
                what);
  };
  constexpr uint64_t kLargest = uint64_t{1} << 56;
  if (header.size == 0)
    return fail("image '{}' has a disk of no bytes; make it larger with qemu-img resize", name);
  if (header.size % 512 != 0 || header.size > kLargest)
    return damaged(fmt::format("a disk cannot have {} bytes", header.size));
  if (header.refcount_order > 6) return damaged("its refcounts have an impossible width");
  if (uint64_t{header.l1_entries} * 8 > kMaxL1Bytes) return damaged("its L1 table is too large");
  if (header.l1_entries < header.l1_entries_needed())
    return damaged("its L1 table is too small for the disk");
  if (!is_place(header, header.l1_offset, uint64_t{header.l1_entries} * 8))
    return damaged("its L1 table is at an impossible place");
  if (header.refcount_table_clusters == 0) return damaged("it has no refcount table");
  if ((uint64_t{header.refcount_table_clusters} << header.cluster_bits) > kMaxRefcountTableBytes)
    return damaged("its refcount table is too large");
  if (!is_place(header, header.refcount_table_offset, 0))
    return damaged("its refcount table is at an impossible place");
  if (header.snapshots > kMaxSnapshots) return damaged("it has too many snapshots");
  if (header.snapshots > 0 && !is_place(header, header.snapshots_offset, 0))
    return damaged("its snapshots are at an impossible place");
  return {};
}

Result<> read_extensions(const Bytes& bytes, Header& header, const std::string& name) {
  uint64_t at = header.length;
  while (at + 8 <= bytes.size()) {
    const uint32_t type = bytes.u32(at), length = bytes.u32(at + 4);
    if (type == kExtensionEnd) return {};
    if (length > bytes.size() - at - 8) break;
    if (type == kExtensionBackingFormat) header.backing_format = bytes.text(at + 8, length);
    at += 8 + (uint64_t{length} + 7) / 8 * 8;
  }
  if (at >= bytes.size()) return {};
  return fail("image '{}' is damaged: a header extension is longer than the header; restore it from a copy",
              name);
}

Result<> read_backing_name(const Bytes& bytes, Header& header, const std::string& name) {
  const uint64_t offset = bytes.u64(at::kBackingOffset), length = bytes.u32(at::kBackingSize);
  if (offset == 0) return {};
  constexpr uint64_t kLongest = 1023;
  if (length > kLongest || offset > bytes.size() || length > bytes.size() - offset)
    return fail(
        "image '{}' is damaged: its backing file's name lies outside the header; restore it from a copy",
        name);
  header.backing_file = bytes.text(offset, length);
  if (header.backing_file.find('\0') != std::string::npos)
    return fail("image '{}' is damaged: its backing file's name is no text; restore it from a copy", name);
  return {};
}

}  // namespace

Result<Header> read_header(File& file, const std::string& name) {
  const auto cannot_read = [&name] {
    return fail("cannot read the header of image '{}'; see whether its disk is sound", name);
  };
  std::vector<uint8_t> start(std::min<uint64_t>(file.size(), 2u << 20));
  if (start.size() < kHeaderBytesV2)
    return fail("image '{}' is shorter than a qcow2 header; restore it from a copy", name);
  start.resize(std::max<size_t>(start.size(), kHeaderBytes));  // short, but read as zeroes
  const iovec whole = {start.data(), start.size()};
  if (!read_padded(file, 0, {&whole, 1})) return cannot_read();
  Header header;
  if (load_big_endian<uint32_t>(start.data()) != kMagic)
    return fail("image '{}' is not qcow2; name its format, as ,format=raw", name);
  header.version = load_big_endian<uint32_t>(&start[at::kVersion]);
  if (header.version != 2 && header.version != 3)
    return fail("image '{}' is qcow2 version {}, and 2 and 3 are supported; convert it with qemu-img convert",
                name, header.version);
  header.cluster_bits = load_big_endian<uint32_t>(&start[at::kClusterBits]);
  if (header.cluster_bits < kMinClusterBits || header.cluster_bits > kMaxClusterBits)
    return fail("image '{}' is damaged: its clusters have an impossible size; restore it from a copy", name);
  start.resize(
      std::min<uint64_t>(start.size(), header.cluster_bytes()));  // the header is within the first cluster
  const Bytes bytes(std::move(start));
  header.size = bytes.u64(at::kSize);
  header.l1_entries = bytes.u32(at::kL1Size);
  header.l1_offset = bytes.u64(at::kL1Offset);
  header.refcount_table_offset = bytes.u64(at::kRefcountOffset);
  header.refcount_table_clusters = bytes.u32(at::kRefcountClusters);
  header.snapshots = bytes.u32(at::kSnapshots);
  header.snapshots_offset = bytes.u64(at::kSnapshotsOffset);
  header.length = kHeaderBytesV2;
  if (header.version == 3) read_version3(bytes, header);
  if (bytes.u32(at::kEncryption) != 0)
    return fail("image '{}' is encrypted, which is not supported; convert it with qemu-img convert", name);
  EIDOLON_TRY(check_features(header, name));
  if (header.version == 3 && (header.length < kHeaderBytesV3 || header.length > bytes.size()))
    return fail("image '{}' is damaged: its header has an impossible length; restore it from a copy", name);
  if ((header.incompatible & kIncompatibleCompression) != 0) {
    const uint32_t type = header.length > at::kCompression ? bytes.u32(at::kCompression) >> 24 : 0;
    if (type != 1)
      return fail("image '{}' is compressed in a way that is not supported; convert it with qemu-img convert",
                  name);
    header.compression = Compression::kZstd;
  }
  EIDOLON_TRY(check_numbers(header, name));
  EIDOLON_TRY(read_extensions(bytes, header, name));
  EIDOLON_TRY(read_backing_name(bytes, header, name));
  return header;
}

std::vector<uint8_t> header_cluster(const Header& header) {
  std::vector<uint8_t> bytes(header.cluster_bytes(), 0);
  const auto u32 = [&bytes](uint64_t offset, uint32_t value) { store_big_endian(&bytes[offset], value); };
  const auto u64 = [&bytes](uint64_t offset, uint64_t value) { store_big_endian(&bytes[offset], value); };
  u32(0, kMagic);
  u32(at::kVersion, header.version);
  u32(at::kClusterBits, header.cluster_bits);
  u64(at::kSize, header.size);
  u32(at::kL1Size, header.l1_entries);
  u64(at::kL1Offset, header.l1_offset);
  u64(at::kRefcountOffset, header.refcount_table_offset);
  u32(at::kRefcountClusters, header.refcount_table_clusters);
  uint64_t end = kHeaderBytesV2;
  if (header.version == 3) {
    u64(at::kIncompatible, header.incompatible);
    u64(at::kCompatible, header.compatible);
    u64(at::kAutoclear, header.autoclear);
    u32(at::kRefcountOrder, header.refcount_order);
    u32(at::kHeaderLength, kHeaderBytes);
    bytes[at::kCompression] = static_cast<uint8_t>(header.compression);
    end = kHeaderBytes;
  }
  if (!header.backing_format.empty()) {
    u32(end, kExtensionBackingFormat);
    u32(end + 4, static_cast<uint32_t>(header.backing_format.size()));
    std::copy(header.backing_format.begin(), header.backing_format.end(),
              bytes.begin() + static_cast<ptrdiff_t>(end) + 8);
    end += 8 + (header.backing_format.size() + 7) / 8 * 8;
  }
  end += 8;  // the end of the extensions is zeroes
  if (!header.backing_file.empty()) {
    u64(at::kBackingOffset, end);
    u32(at::kBackingSize, static_cast<uint32_t>(header.backing_file.size()));
    std::copy(header.backing_file.begin(), header.backing_file.end(),
              bytes.begin() + static_cast<ptrdiff_t>(end));
  }
  return bytes;
}

}  // namespace eidolon::backend::image::qcow2
