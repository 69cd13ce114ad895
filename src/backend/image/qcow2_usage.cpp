#include "backend/image/qcow2_usage.h"

#include <fmt/format.h>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_snapshots.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

Usage::Usage(File& file, const Header& header)
    : file_(file), header_(header), counts_(header.clusters(file.size()), 0) {}

void Usage::add_bad(std::string what) {
  if (bad_++ == 0) first_bad_ = std::move(what);
}

void Usage::use(uint64_t offset, uint64_t length, const char* what) {
  if (length == 0) return;
  const uint64_t first = offset >> header_.cluster_bits, last = (offset + length - 1) >> header_.cluster_bits;
  if (last >= counts_.size())
    return add_bad(fmt::format("{} at {:#x} is behind the end of the file", what, offset));
  for (uint64_t cluster = first; cluster <= last; ++cluster) ++counts_[cluster];
}

IoResult<> Usage::count_all() {
  EIDOLON_TRY(count_refcounts());
  return count_without_refcounts();
}

IoResult<> Usage::count_without_refcounts() {
  use(0, header_.cluster_bytes(), "the header");
  EIDOLON_TRY(count_tables(header_.l1_offset, header_.l1_entries, true));
  const SnapshotTable table = EIDOLON_TRY(read_snapshots(file_, header_));
  use(header_.snapshots_offset, table.bytes, "the snapshot table");
  for (const Snapshot& snapshot : table.snapshots)
    EIDOLON_TRY(count_tables(snapshot.l1_offset, snapshot.l1_entries, false));
  return {};
}

IoResult<> Usage::count_refcounts() {
  const uint64_t bytes = uint64_t{header_.refcount_table_clusters} << header_.cluster_bits;
  use(header_.refcount_table_offset, bytes, "the refcount table");
  refcount_table_ =
      EIDOLON_TRY(read_l1(file_, header_.refcount_table_offset, static_cast<uint32_t>(bytes / 8)));
  for (uint64_t& block : refcount_table_) {
    if (block == 0) continue;
    if (block % header_.cluster_bytes() == 0 && block < file_.size()) {
      use(block, header_.cluster_bytes(), "a refcount block");
      continue;
    }
    add_bad(fmt::format("a refcount block cannot be at {:#x}", block));
    block = 0;
  }
  return {};
}

IoResult<> Usage::count_tables(uint64_t l1_offset, uint32_t l1_entries, bool active) {
  use(l1_offset, uint64_t{l1_entries} * 8, "an L1 table");
  for (const uint64_t table : EIDOLON_TRY(read_l1(file_, l1_offset, l1_entries))) {
    if (table == 0) continue;
    use(table, header_.cluster_bytes(), "an L2 table");
    if (table % header_.cluster_bytes() != 0 || table >= file_.size()) {
      add_bad(fmt::format("an L2 table cannot be at {:#x}", table));
      continue;
    }
    EIDOLON_TRY(count_l2(table, active));
  }
  return {};
}

IoResult<> Usage::count_l2(uint64_t table, bool active) {
  std::vector<uint8_t> bytes(header_.cluster_bytes());
  const iovec part = {bytes.data(), bytes.size()};
  EIDOLON_TRY(read_padded(file_, table, {&part, 1}));
  for (size_t i = 0; i < bytes.size(); i += 8) {
    const auto entry = load_big_endian<uint64_t>(&bytes[i]);
    if ((entry & kEntryCompressed) != 0) {
      const CompressedPlace place = compressed_place(entry, header_.cluster_bits);
      use(place.offset, place.length, "a compressed cluster");
      if (active) ++compressed_clusters_;
      if ((entry & kEntryCopied) != 0)
        add_bad(fmt::format("a compressed cluster at {:#x} counts as writable", place.offset));
      continue;
    }
    const uint64_t host = entry & kEntryOffset;
    if (host == 0) continue;
    use(host, header_.cluster_bytes(), "a cluster of data");
    if (active) ++data_clusters_;
    if (host % header_.cluster_bytes() != 0)
      add_bad(fmt::format("a cluster of data cannot be at {:#x}", host));
  }
  return {};
}

}  // namespace eidolon::backend::image::qcow2
