#include "backend/image/qcow2_snapshots.h"

#include <array>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

namespace {

constexpr uint64_t kFixedBytes = 40;
constexpr uint64_t kMostTableBytes = 64u << 20, kMostL1Bytes = 256u << 20;

IoResult<std::string> read_text(File& file, uint64_t offset, uint16_t length) {
  std::vector<uint8_t> bytes(length);
  if (length > 0) EIDOLON_TRY(read_bytes(file, offset, bytes));
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

IoResult<SnapshotTable> read_snapshots(File& file, const Header& header) {
  SnapshotTable table;
  uint64_t at = header.snapshots_offset, l1_bytes = 0;
  for (uint32_t i = 0; i < header.snapshots; ++i) {
    std::array<uint8_t, kFixedBytes> fixed;
    EIDOLON_TRY(read_bytes(file, at, fixed));
    Snapshot snapshot{.l1_offset = load_big_endian<uint64_t>(&fixed[0]),
                      .l1_entries = load_big_endian<uint32_t>(&fixed[8]),
                      .id = {},
                      .name = {}};
    const uint64_t id_bytes = load_big_endian<uint16_t>(&fixed[12]),
                   name_bytes = load_big_endian<uint16_t>(&fixed[14]);
    const uint64_t extra_bytes = load_big_endian<uint32_t>(&fixed[36]);
    l1_bytes += uint64_t{snapshot.l1_entries} * 8;
    if (extra_bytes > kMostTableBytes || uint64_t{snapshot.l1_entries} * 8 > kMaxL1Bytes ||
        l1_bytes > kMostL1Bytes || snapshot.l1_offset % header.cluster_bytes() != 0 ||
        snapshot.l1_offset >= file.size())
      return io_failed();
    at += kFixedBytes + extra_bytes;
    snapshot.id = EIDOLON_TRY(read_text(file, at, static_cast<uint16_t>(id_bytes)));
    snapshot.name = EIDOLON_TRY(read_text(file, at + id_bytes, static_cast<uint16_t>(name_bytes)));
    at = align_up(at + id_bytes + name_bytes, 8);
    if (at - header.snapshots_offset > kMostTableBytes) return io_failed();
    table.snapshots.push_back(std::move(snapshot));
  }
  table.bytes = header.snapshots == 0 ? 0 : at - header.snapshots_offset;
  return table;
}

IoResult<std::vector<uint64_t>> read_l1(File& file, uint64_t offset, uint32_t entries) {
  std::vector<uint8_t> bytes(uint64_t{entries} * 8);
  if (!bytes.empty()) EIDOLON_TRY(read_bytes(file, offset, bytes));
  std::vector<uint64_t> l1(entries);
  for (size_t i = 0; i < l1.size(); ++i) l1[i] = load_big_endian<uint64_t>(&bytes[i * 8]) & kEntryOffset;
  return l1;
}

}  // namespace eidolon::backend::image::qcow2
