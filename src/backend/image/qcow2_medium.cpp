#include "backend/image/qcow2_medium.h"

#include <algorithm>
#include <array>

#include "backend/image/big_endian.h"
#include "backend/image/parts.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_snapshots.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image {

using namespace qcow2;

Result<std::unique_ptr<Qcow2Medium>> Qcow2Medium::open(std::unique_ptr<File> file, const std::string& name,
                                                       const Header& header, std::unique_ptr<Medium> backing,
                                                       Health::Say say) {
  std::unique_ptr<Qcow2Medium> medium(new Qcow2Medium(std::move(file), name, header, std::move(backing)));
  EIDOLON_TRY(medium->load(name));
  medium->health_.set_say(std::move(say));
  return medium;
}

Qcow2Medium::Qcow2Medium(std::unique_ptr<File> file, const std::string& name, const Header& header,
                         std::unique_ptr<Medium> backing)
    : file_(std::move(file)),
      header_(header),
      backing_(std::move(backing)),
      places_(header.cluster_bits),
      health_(*file_, header_, name),
      refcounts_(*file_, header_, places_, health_),
      mapping_(*file_, header_, places_, health_, refcounts_),
      compressed_(*file_, header_) {}

Qcow2Medium::~Qcow2Medium() {
  if (!may_write()) return;
  (void)sync();
  (void)refcounts_.write_back();  // what sync() has freed last
}

Result<> Qcow2Medium::load(const std::string& name) {
  if (load_tables()) return {};
  if (!health_.sentence().empty()) return std::unexpected(Error{health_.sentence()});
  return fail("cannot read the tables of image '{}', which is cut short or damaged; restore it from a copy",
              name);
}

IoResult<> Qcow2Medium::load_tables() {
  (void)places_.add(0, 1);
  if (!file_->read_only()) EIDOLON_TRY(refcounts_.load());
  EIDOLON_TRY(mapping_.load());
  if (file_->read_only()) return {};
  const SnapshotTable table = EIDOLON_TRY(read_snapshots(*file_, header_));
  if (table.bytes > 0 && !places_.add(header_.snapshots_offset, table.bytes))
    return health_.found_corrupt("its snapshots lie over another structure");
  for (const Snapshot& snapshot : table.snapshots) {
    (void)places_.add(snapshot.l1_offset, uint64_t{snapshot.l1_entries} * 8);
    for (const uint64_t l2 : EIDOLON_TRY(read_l1(*file_, snapshot.l1_offset, snapshot.l1_entries)))
      if (l2 != 0) (void)places_.add(l2, 1);  // the disk and other snapshots may share it
  }
  if (header_.autoclear == 0) return {};
  // Whoever writes without knowing what they mean takes these bits away.
  const std::array<uint8_t, 8> none{};
  EIDOLON_TRY(write_bytes(*file_, at::kAutoclear, none));
  return checked(file_->flush());
}

Qcow2Medium::IoStatus Qcow2Medium::read(uint64_t offset, std::span<const iovec> into) {
  const auto lock = lock_.share();
  return status_of(read_pieces(offset, into));
}

IoResult<> Qcow2Medium::read_pieces(uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into);
  for (uint64_t done = 0; done < total;) {
    const Extent extent = EIDOLON_TRY(mapping_.find(offset + done, total - done));
    EIDOLON_TRY(read_extent(extent, offset + done, part_of(into, done, extent.length)));
    done += extent.length;
  }
  return {};
}

IoResult<> Qcow2Medium::read_extent(const Extent& extent, uint64_t offset, std::span<const iovec> into) {
  switch (extent.kind) {
    case Extent::Kind::kAbsent:
      return read_backing(offset, into);
    case Extent::Kind::kZero:
      clear(into);
      return {};
    case Extent::Kind::kData:
      return read_padded(*file_, extent.host, into);
    case Extent::Kind::kCompressed:
      break;
  }
  const Compressed::Cluster cluster = EIDOLON_TRY(compressed_.read(extent.entry));
  scatter(std::span(*cluster).subspan(offset % header_.cluster_bytes(), extent.length), into);
  return {};
}

IoResult<> Qcow2Medium::read_backing(uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into);
  const uint64_t size = backing_ ? backing_->size() : 0;
  const uint64_t there = offset >= size ? 0 : std::min(total, size - offset);
  if (there > 0) EIDOLON_TRY(checked(backing_->read(offset, part_of(into, 0, there))));
  clear(part_of(into, there, total - there));
  return {};
}

Qcow2Medium::IoStatus Qcow2Medium::write(uint64_t offset, std::span<const iovec> from) {
  const uint64_t total = bytes_of(from);
  for (uint64_t done = 0; done < total;) {
    if (!may_write()) return IoStatus::kFailed;
    const std::vector<iovec> left = part_of(from, done, total - done);
    IoResult<uint64_t> written;
    {
      const auto lock = lock_.share();
      written = write_in_place(offset + done, left);
    }
    if (written && *written == 0) {
      const auto lock = lock_.alone();
      written = write_new(offset + done, left);
    }
    if (!written) return written.error();
    done += *written;
  }
  return IoStatus::kDone;
}

IoResult<uint64_t> Qcow2Medium::write_in_place(uint64_t offset, std::span<const iovec> from) {
  const Extent extent = EIDOLON_TRY(mapping_.find(offset, bytes_of(from)));
  if (extent.kind != Extent::Kind::kData || !extent.writable) return uint64_t{0};
  EIDOLON_TRY(checked(file_->write(extent.host, part_of(from, 0, extent.length))));
  return extent.length;
}

IoResult<uint64_t> Qcow2Medium::write_new(uint64_t offset, std::span<const iovec> from) {
  // Somebody else may have been here before us.
  if (const uint64_t written = EIDOLON_TRY(write_in_place(offset, from)); written > 0) return written;
  EIDOLON_TRY(sync_if_crowded());
  constexpr uint64_t kMostBytes = 4u << 20;
  const uint64_t cluster = header_.cluster_bytes(), start = align_down(offset, cluster);
  const uint64_t length = std::min({bytes_of(from), mapping_.left_in_table(offset), kMostBytes});
  std::vector<uint64_t> entries(header_.clusters(offset - start + length));
  EIDOLON_TRY(mapping_.get(start, entries));
  const auto in_place = [](uint64_t entry) {
    return (entry & kEntryCopied) != 0 && (entry & (kEntryCompressed | kEntryZero)) == 0 &&
           (entry & kEntryOffset) != 0;
  };
  entries.erase(std::find_if(entries.begin() + 1, entries.end(), in_place), entries.end());
  const uint64_t taken = std::min(length, entries.size() * cluster - (offset - start));

  const uint64_t host = EIDOLON_TRY(refcounts_.allocate(entries.size()));
  std::vector<uint64_t> fresh(entries.size());
  for (size_t i = 0; i < fresh.size(); ++i) fresh[i] = (host + i * cluster) | kEntryCopied;
  IoResult<> done = fill_clusters(offset, part_of(from, 0, taken), host, entries.size());
  if (done) done = mapping_.set(start, fresh);
  if (!done) {
    (void)refcounts_.free_now(host, entries.size());
    return std::unexpected(done.error());
  }
  for (const uint64_t entry : entries) EIDOLON_TRY(free_entry(entry));
  return taken;
}

/// New clusters at `host`: what is written now, and around it what was there before.
IoResult<> Qcow2Medium::fill_clusters(uint64_t offset, std::span<const iovec> from, uint64_t host,
                                      uint64_t clusters) {
  const uint64_t cluster = header_.cluster_bytes(), start = align_down(offset, cluster);
  const uint64_t end = offset + bytes_of(from), last = start + clusters * cluster;
  std::vector<uint8_t> before(offset - start), after(last - end);
  const iovec head = {before.data(), before.size()}, tail = {after.data(), after.size()};
  const uint64_t disk_end = header_.size;  // the last cluster may reach behind it
  EIDOLON_TRY(read_pieces(start, {&head, 1}));
  if (end < disk_end) {
    const iovec inside = {after.data(), std::min<size_t>(after.size(), disk_end - end)};
    EIDOLON_TRY(read_pieces(end, {&inside, 1}));
  }
  if (host >= file_->size() && is_zero(before) && is_zero(after) &&
      file_->grow(host + clusters * cluster) == IoStatus::kDone)
    return checked(file_->write(host + before.size(), from));
  std::vector<iovec> parts;
  if (!before.empty()) parts.push_back(head);
  parts.insert(parts.end(), from.begin(), from.end());
  if (!after.empty()) parts.push_back(tail);
  return checked(file_->write(host, parts));
}

IoResult<> Qcow2Medium::free_entry(uint64_t entry) {
  uint64_t offset = entry & kEntryOffset, length = offset == 0 ? 0 : header_.cluster_bytes();
  if ((entry & kEntryCompressed) != 0) {
    const CompressedPlace place = compressed_place(entry, header_.cluster_bits);
    offset = place.offset;
    length = place.length;
    compressed_.forget();
  }
  if (length == 0) return {};
  if (places_.touched(offset, length) || offset >= refcounts_.end())
    return health_.found_corrupt("data lies over a structure or behind the end of the file");
  const uint64_t first = offset >> header_.cluster_bits, last = (offset + length - 1) >> header_.cluster_bits;
  refcounts_.free_later(first << header_.cluster_bits, last - first + 1);
  return {};
}

Qcow2Medium::IoStatus Qcow2Medium::flush() {
  if (file_->read_only()) return IoStatus::kDone;
  if (health_.corrupt()) return IoStatus::kFailed;
  const auto lock = lock_.alone();
  return status_of(sync());
}

IoResult<> Qcow2Medium::sync() {
  if (!refcounts_.changed() && !mapping_.changed() && !refcounts_.has_frees()) return checked(file_->flush());
  EIDOLON_TRY(refcounts_.write_back());
  EIDOLON_TRY(mapping_.write_back());
  EIDOLON_TRY(checked(file_->flush()));
  return refcounts_.apply_frees();
}

IoResult<> Qcow2Medium::sync_if_crowded() {
  return refcounts_.crowded() || mapping_.crowded() ? sync() : IoResult<>{};
}

Qcow2Medium::IoStatus Qcow2Medium::let_go() {
  if (file_->read_only()) return IoStatus::kDone;
  if (health_.corrupt()) return IoStatus::kFailed;
  const auto lock = lock_.alone();
  IoResult<> done = sync();
  if (done) done = refcounts_.write_back();
  if (!done) return status_of(done);
  ours_ = false;
  file_->let_go();
  return IoStatus::kDone;
}

bool Qcow2Medium::take_back() {
  ours_ = file_->take_back();
  return ours_;
}

Qcow2Medium::IoStatus Qcow2Medium::discard(uint64_t offset, uint64_t length) {
  if (!may_write()) return IoStatus::kFailed;
  const uint64_t cluster = header_.cluster_bytes();
  const uint64_t end = offset + length;
  const uint64_t first = align_up(offset, cluster),
                 last = end == header_.size ? align_up(end, cluster) : align_down(end, cluster);
  if (!can_clear(Clearing::kDiscard) || first >= last) return IoStatus::kDone;
  return status_of(clear_range(first, last - first, Clearing::kDiscard));
}

Qcow2Medium::IoStatus Qcow2Medium::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
  if (!may_write()) return IoStatus::kFailed;
  const Clearing how = may_unmap ? Clearing::kZeroAndUnmap : Clearing::kZeroInPlace;
  const uint64_t cluster = header_.cluster_bytes(), end = offset + length;
  const uint64_t first = align_up(offset, cluster),
                 last = end == header_.size ? align_up(end, cluster) : align_down(end, cluster);
  if (!can_clear(how) || first >= last) return status_of(write_zero_bytes(offset, length));
  IoResult<> done = write_zero_bytes(offset, first - offset);
  if (done) done = clear_range(first, last - first, how);
  if (done && end > last) done = write_zero_bytes(last, end - last);
  return status_of(done);
}

/// Version 2 can only say that a cluster is not there.
bool Qcow2Medium::can_clear(Clearing /*how*/) const { return header_.version >= 3 || !backing_; }

IoResult<> Qcow2Medium::clear_range(uint64_t offset, uint64_t length, Clearing how) {
  for (uint64_t done = 0; done < length;) {
    const auto lock = lock_.alone();
    if (!may_write()) return io_failed();
    EIDOLON_TRY(sync_if_crowded());
    const uint64_t part = std::min(length - done, mapping_.left_in_table(offset + done));
    done += EIDOLON_TRY(clear_clusters(offset + done, part >> header_.cluster_bits, how));
  }
  return {};
}

IoResult<uint64_t> Qcow2Medium::clear_clusters(uint64_t offset, uint64_t clusters, Clearing how) {
  std::vector<uint64_t> entries(clusters);
  EIDOLON_TRY(mapping_.get(offset, entries));
  const bool can_be_absent = !backing_ && (how == Clearing::kDiscard || header_.version < 3);
  const uint64_t cleared = can_be_absent ? 0 : kEntryZero;
  std::vector<uint64_t> after(clusters, cleared);
  for (size_t i = 0; i < clusters; ++i) {
    const bool absent = entries[i] == 0 && !backing_;
    const bool own = (entries[i] & kEntryCopied) != 0 && (entries[i] & kEntryCompressed) == 0;
    if (absent) after[i] = 0;  // zeroes already
    if (how == Clearing::kZeroInPlace && own && header_.version >= 3) after[i] = entries[i] | kEntryZero;
  }
  if (after != entries) {
    EIDOLON_TRY(mapping_.set(offset, after));
    for (size_t i = 0; i < clusters; ++i)
      if ((after[i] & kEntryOffset) == 0) EIDOLON_TRY(free_entry(entries[i]));
  }
  return clusters << header_.cluster_bits;
}

IoResult<> Qcow2Medium::write_zero_bytes(uint64_t offset, uint64_t length) {
  static std::array<uint8_t, 64 * 1024> zeroes{};  // never written
  for (uint64_t done = 0; done < length; done += zeroes.size()) {
    const iovec part = {zeroes.data(), static_cast<size_t>(std::min<uint64_t>(zeroes.size(), length - done))};
    EIDOLON_TRY(checked(write(offset + done, {&part, 1})));
  }
  return {};
}

}  // namespace eidolon::backend::image
