#include "backend/image/qcow2_mapping.h"

#include <algorithm>
#include <array>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

namespace {

constexpr uint64_t kCacheBytes = 16u << 20;
constexpr size_t kEntriesAtOnce = 128;

size_t cache_tables(uint64_t cluster_bytes) {
  return std::clamp<uint64_t>(kCacheBytes / cluster_bytes, 16, 4096);
}

Extent::Kind kind_of(uint64_t entry, uint32_t version) {
  if ((entry & kEntryCompressed) != 0) return Extent::Kind::kCompressed;
  if (version >= 3 && (entry & kEntryZero) != 0) return Extent::Kind::kZero;
  return (entry & kEntryOffset) != 0 ? Extent::Kind::kData : Extent::Kind::kAbsent;
}

/// Whether the cluster after one with `entry` goes on where that one ends.
bool goes_on(uint64_t entry, uint64_t next, uint64_t clusters, unsigned cluster_bits, Extent::Kind kind) {
  if (kind != Extent::Kind::kData) return true;
  return next == entry + (clusters << cluster_bits);  // flags are the same, too
}

}  // namespace

Mapping::Mapping(File& file, const Header& header, Places& places, Health& health, Refcounts& refcounts)
    : file_(file),
      header_(header),
      cluster_bits_(header.cluster_bits),
      places_(places),
      health_(health),
      refcounts_(refcounts),
      tables_(file, header.cluster_bytes(), cache_tables(header.cluster_bytes())) {}

IoResult<> Mapping::load() {
  std::vector<uint8_t> bytes(uint64_t{header_.l1_entries} * 8);
  EIDOLON_TRY(read_bytes(file_, header_.l1_offset, bytes));
  if (!places_.add(header_.l1_offset, bytes.size()))
    return health_.found_corrupt("its L1 table lies over another structure");
  l1_.resize(header_.l1_entries);
  for (size_t i = 0; i < l1_.size(); ++i) {
    l1_[i] = load_big_endian<uint64_t>(&bytes[i * 8]);
    const uint64_t table = l1_[i] & kEntryOffset;
    if (table == 0) continue;
    if (table % header_.cluster_bytes() != 0 || table >= refcounts_.end())
      return health_.found_corrupt("an L2 table is at an impossible place");
    if (!places_.add(table, header_.cluster_bytes()))
      return health_.found_corrupt("an L2 table lies over another structure");
  }
  return {};
}

uint64_t Mapping::left_in_table(uint64_t offset) const {
  const uint64_t covered = header_.entries_per_l2() << cluster_bits_;
  return covered - offset % covered;
}

IoResult<> Mapping::get(uint64_t offset, std::span<uint64_t> entries) {
  const uint64_t table = l1_[l1_index(offset)] & kEntryOffset;
  if (table == 0) {
    std::fill(entries.begin(), entries.end(), 0);
    return {};
  }
  return tables_.read_entries(table, l2_index(offset), entries);
}

IoResult<> Mapping::check_data(uint64_t entry) {
  const uint64_t host = entry & kEntryOffset;
  if (host % header_.cluster_bytes() != 0)
    return health_.found_corrupt("a cluster of data is at an odd place");
  if (host >= refcounts_.end())
    return health_.found_corrupt("a cluster of data lies behind the end of the file");
  if (places_.touched(host, 1)) return health_.found_corrupt("a cluster of data lies over a structure");
  return {};
}

IoResult<Extent> Mapping::find(uint64_t offset, uint64_t length) {
  const uint64_t cluster = header_.cluster_bytes(), within = offset % cluster;
  const uint64_t most = std::min(length, left_in_table(offset));
  std::array<uint64_t, kEntriesAtOnce> buffer;
  const std::span<uint64_t> entries =
      std::span(buffer).first(std::min<uint64_t>(kEntriesAtOnce, header_.clusters(within + most)));
  EIDOLON_TRY(get(offset, entries));

  Extent extent{.kind = kind_of(entries[0], header_.version),
                .writable = (entries[0] & kEntryCopied) != 0,
                .host = (entries[0] & kEntryOffset) + within,
                .entry = entries[0],
                .length = 0};
  size_t count = 0;
  for (; count < entries.size(); ++count) {
    const uint64_t entry = entries[count];
    if (kind_of(entry, header_.version) != extent.kind ||
        !goes_on(entries[0], entry, count, cluster_bits_, extent.kind))
      break;
    if (extent.kind == Extent::Kind::kData) EIDOLON_TRY(check_data(entry));
    if (extent.kind == Extent::Kind::kCompressed && count == 1) break;  // one at a time
  }
  extent.length = std::min(most, count * cluster - within);
  return extent;
}

void Mapping::set_l1(uint64_t index, uint64_t table) {
  l1_[index] = table | kEntryCopied;
  const bool was_clean = l1_changed_from_ == l1_changed_to_;
  l1_changed_from_ = was_clean ? index : std::min<size_t>(l1_changed_from_, index);
  l1_changed_to_ = was_clean ? index + 1 : std::max<size_t>(l1_changed_to_, index + 1);
}

IoResult<uint64_t> Mapping::own_table(uint64_t offset) {
  const uint64_t index = l1_index(offset), old = l1_[index] & kEntryOffset;
  if (old != 0 && (l1_[index] & kEntryCopied) != 0) return old;
  const uint64_t users = old == 0 ? 0 : EIDOLON_TRY(refcounts_.get(old >> cluster_bits_));
  if (old != 0 && users == 0) return health_.found_corrupt("an L2 table counts as free");
  if (users == 1) {
    set_l1(index, old);
    return old;
  }
  const uint64_t table = EIDOLON_TRY(refcounts_.allocate(1));
  if (!places_.add(table, header_.cluster_bytes()))
    return health_.found_corrupt("a structure counts as free");
  std::vector<uint8_t> bytes(header_.cluster_bytes());
  if (old != 0) EIDOLON_TRY(tables_.read(old, 0, bytes));
  tables_.create(table);
  if (old != 0) {
    // A snapshot goes on using it, so its place stays a structure's.
    EIDOLON_TRY(tables_.write(table, 0, bytes));
    refcounts_.free_later(old);
  }
  set_l1(index, table);
  return table;
}

IoResult<> Mapping::set(uint64_t offset, std::span<const uint64_t> entries) {
  const uint64_t table = EIDOLON_TRY(own_table(offset));
  return tables_.write_entries(table, l2_index(offset), entries);
}

IoResult<> Mapping::write_back() {
  if (!changed()) return {};
  EIDOLON_TRY(tables_.write_back());
  EIDOLON_TRY(checked(file_.flush()));
  if (l1_changed_from_ == l1_changed_to_) return {};
  std::vector<uint8_t> bytes((l1_changed_to_ - l1_changed_from_) * 8);
  for (size_t i = 0; i < bytes.size() / 8; ++i) store_big_endian(&bytes[i * 8], l1_[l1_changed_from_ + i]);
  EIDOLON_TRY(write_bytes(file_, header_.l1_offset + l1_changed_from_ * 8, bytes));
  EIDOLON_TRY(checked(file_.flush()));
  l1_changed_from_ = l1_changed_to_ = 0;
  return {};
}

}  // namespace eidolon::backend::image::qcow2
