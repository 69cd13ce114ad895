#include "backend/image/qcow2_refcounts.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

namespace {

constexpr uint64_t kCacheBytes = 4u << 20;

size_t cache_tables(uint64_t cluster_bytes) {
  return std::clamp<uint64_t>(kCacheBytes / cluster_bytes, 16, 1024);
}

}  // namespace

Refcounts::Refcounts(File& file, const Header& header, Places& places, Health& health)
    : file_(file),
      cluster_bits_(header.cluster_bits),
      order_(header.refcount_order),
      per_block_(header.refcounts_per_block()),
      places_(places),
      health_(health),
      blocks_(file, header.cluster_bytes(), cache_tables(header.cluster_bytes())),
      table_offset_(header.refcount_table_offset),
      table_bytes_(uint64_t{header.refcount_table_clusters} << header.cluster_bits),
      end_(align_up(file.size(), header.cluster_bytes())) {}

IoResult<> Refcounts::load() {
  std::vector<uint8_t> bytes(table_bytes_);
  EIDOLON_TRY(read_bytes(file_, table_offset_, bytes));
  if (!places_.add(table_offset_, table_bytes_))
    return health_.found_corrupt("its refcount table lies over its header");
  table_.resize(table_bytes_ / 8);
  for (size_t i = 0; i < table_.size(); ++i) {
    table_[i] = load_big_endian<uint64_t>(&bytes[i * 8]) & kEntryOffset;
    if (table_[i] == 0) continue;
    const uint64_t cluster_bytes = uint64_t{1} << cluster_bits_;
    if (table_[i] % cluster_bytes != 0 || table_[i] >= end_)
      return health_.found_corrupt("a refcount block is at an impossible place");
    if (!places_.add(table_[i], cluster_bytes))
      return health_.found_corrupt("a refcount block lies over another structure");
  }
  return {};
}

IoResult<> Refcounts::count_structures(uint64_t clusters) {
  for (uint64_t cluster = 0; cluster < clusters; ++cluster) EIDOLON_TRY(set(cluster, 1));
  next_free_ = clusters;
  return {};
}

IoResult<uint64_t> Refcounts::get(uint64_t cluster) {
  const uint64_t block = block_of(cluster);
  if (block >= table_.size() || table_[block] == 0) return uint64_t{0};
  const uint64_t index = cluster % per_block_;
  std::array<uint8_t, 8> raw{};
  if (order_ < 3) {
    EIDOLON_TRY(blocks_.read(table_[block], (index << order_) / 8, {raw.data(), 1}));
    const unsigned width = 1u << order_;
    return (raw[0] >> ((index << order_) % 8)) & mask_below(width);
  }
  const size_t width = size_t{1} << (order_ - 3);
  EIDOLON_TRY(blocks_.read(table_[block], index * width, {raw.data() + 8 - width, width}));
  return load_big_endian<uint64_t>(raw.data());
}

/// The block is there.
IoResult<> Refcounts::set(uint64_t cluster, uint64_t count) {
  const uint64_t table = table_[block_of(cluster)], index = cluster % per_block_;
  std::array<uint8_t, 8> raw{};
  if (order_ < 3) {
    EIDOLON_TRY(blocks_.read(table, (index << order_) / 8, {raw.data(), 1}));
    const unsigned shift = (index << order_) % 8, width = 1u << order_;
    raw[0] = static_cast<uint8_t>((raw[0] & ~(mask_below(width) << shift)) | count << shift);
    return blocks_.write(table, (index << order_) / 8, {raw.data(), 1});
  }
  const size_t width = size_t{1} << (order_ - 3);
  store_big_endian(raw.data(), count);
  return blocks_.write(table, index * width, {raw.data() + 8 - width, width});
}

IoResult<bool> Refcounts::is_free(uint64_t cluster) {
  if (EIDOLON_TRY(get(cluster)) != 0) return false;
  if (places_.touched(cluster << cluster_bits_, 1))
    return health_.found_corrupt("a structure counts as free");
  return true;
}

/// The first of so many free clusters in a row; a block that is missing for them is made first, which takes a
/// cluster, so that then there is no answer yet.
IoResult<std::optional<uint64_t>> Refcounts::find_free(uint64_t clusters) {
  uint64_t first = next_free_, length = 0;
  for (uint64_t cluster = next_free_; length < clusters; ++cluster) {
    if (!EIDOLON_TRY(is_free(cluster))) {
      length = 0;
      continue;
    }
    if (length++ == 0) first = cluster;
  }
  for (uint64_t block = block_of(first); block <= block_of(first + clusters - 1); ++block) {
    if (block < table_.size() && table_[block] != 0) continue;
    EIDOLON_TRY(ensure_block(block));
    return std::nullopt;
  }
  return first;
}

IoResult<uint64_t> Refcounts::allocate(uint64_t clusters) {
  std::optional<uint64_t> first;
  while (!first) first = EIDOLON_TRY(find_free(clusters));
  for (uint64_t i = 0; i < clusters; ++i) EIDOLON_TRY(set(*first + i, 1));
  next_free_ = *first + clusters;  // holes too small for this one are found after the next free
  end_ = std::max(end_, next_free_ << cluster_bits_);
  return *first << cluster_bits_;
}

/// A new block lies in the first free cluster. If that is one that it counts itself, it does; if another
/// block that is missing as well counts it, that one comes first, in the same cluster.
IoResult<> Refcounts::ensure_block(uint64_t block) {
  EIDOLON_TRY(ensure_table(block));
  if (table_[block] != 0) return {};  // the larger table was in its range
  uint64_t cluster = next_free_;
  while (!EIDOLON_TRY(is_free(cluster))) ++cluster;
  const uint64_t counted_by = block_of(cluster);
  if (counted_by != block && (counted_by >= table_.size() || table_[counted_by] == 0)) {
    EIDOLON_TRY(ensure_block(counted_by));
    return ensure_block(block);
  }
  const uint64_t offset = cluster << cluster_bits_;
  if (counted_by != block) EIDOLON_TRY(set(cluster, 1));
  if (!places_.add(offset, uint64_t{1} << cluster_bits_))
    return health_.found_corrupt("a structure counts as free");
  blocks_.create(offset);
  table_[block] = offset;
  table_changed_ = true;
  if (counted_by == block) EIDOLON_TRY(set(cluster, 1));
  end_ = std::max(end_, offset + (uint64_t{1} << cluster_bits_));
  return {};
}

/// In memory the table just gets longer, which is all that it takes to allocate; then a place for it is
/// found.
IoResult<> Refcounts::ensure_table(uint64_t block) {
  if (block < table_.size()) return {};
  const uint64_t entries_per_cluster = (uint64_t{1} << cluster_bits_) / 8;
  const uint64_t wanted =
      align_up(std::max(block + 1, table_.size() + table_.size() / 2), entries_per_cluster);
  if (wanted * 8 > kMaxRefcountTableBytes) return io_failed();
  table_.resize(wanted, 0);
  return move_table();
}

IoResult<> Refcounts::move_table() {
  const size_t before = table_.size();
  const uint64_t clusters = before * 8 >> cluster_bits_;
  const uint64_t offset = EIDOLON_TRY(allocate(clusters));
  if (table_.size() != before) return free_now(offset, clusters);  // it grew meanwhile, and has a place
  if (!places_.add(offset, before * 8)) return health_.found_corrupt("a structure counts as free");
  const std::optional<Move> abandoned =
      std::exchange(moving_to_, Move{.offset = offset, .bytes = before * 8});
  if (!abandoned) return {};
  places_.remove(abandoned->offset, abandoned->bytes);
  return free_now(abandoned->offset, abandoned->bytes >> cluster_bits_);
}

void Refcounts::free_later(uint64_t offset, uint64_t clusters) {
  for (uint64_t i = 0; i < clusters; ++i) freed_.push_back((offset >> cluster_bits_) + i);
}

IoResult<> Refcounts::lower(uint64_t cluster) {
  const uint64_t count = EIDOLON_TRY(get(cluster));
  if (count == 0) return health_.found_corrupt("a cluster in use counts as free");
  if (count == 1 && places_.touched(cluster << cluster_bits_, 1))
    return health_.found_corrupt("a structure was used for data");
  EIDOLON_TRY(set(cluster, count - 1));
  if (count == 1) next_free_ = std::min(next_free_, cluster);
  return {};
}

IoResult<> Refcounts::free_now(uint64_t offset, uint64_t clusters) {
  for (uint64_t i = 0; i < clusters; ++i) EIDOLON_TRY(lower((offset >> cluster_bits_) + i));
  return {};
}

IoResult<> Refcounts::apply_frees() {
  std::sort(freed_.begin(), freed_.end(), std::greater<>());
  Extent unused{};  // gone from the file's lower end upwards
  while (!freed_.empty()) {
    const uint64_t cluster = freed_.back();
    EIDOLON_TRY(lower(cluster));
    freed_.pop_back();
    if (EIDOLON_TRY(get(cluster)) != 0) continue;
    if (unused.first + unused.clusters != cluster)
      give_back(std::exchange(unused, {.first = cluster, .clusters = 0}));
    ++unused.clusters;
  }
  give_back(unused);
  return {};
}

void Refcounts::give_back(const Extent& unused) {
  const uint64_t offset = unused.first << cluster_bits_, length = unused.clusters << cluster_bits_;
  if (length > 0 && offset + length <= file_.size()) (void)file_.discard(offset, length);  // a hint
}

IoResult<> Refcounts::write_back() {
  if (!changed()) return {};
  EIDOLON_TRY(blocks_.write_back());
  EIDOLON_TRY(checked(file_.flush()));
  if (!table_changed_ && !moving_to_) return {};

  std::vector<uint8_t> bytes(table_.size() * 8);
  for (size_t i = 0; i < table_.size(); ++i) store_big_endian(&bytes[i * 8], table_[i]);
  EIDOLON_TRY(write_bytes(file_, moving_to_ ? moving_to_->offset : table_offset_, bytes));
  EIDOLON_TRY(checked(file_.flush()));
  table_changed_ = false;
  if (!moving_to_) return {};

  std::array<uint8_t, 12> place;
  store_big_endian(place.data(), moving_to_->offset);
  store_big_endian(place.data() + 8, static_cast<uint32_t>(bytes.size() >> cluster_bits_));
  EIDOLON_TRY(write_bytes(file_, at::kRefcountOffset, place));
  EIDOLON_TRY(checked(file_.flush()));
  places_.remove(table_offset_, table_bytes_);
  free_later(table_offset_, table_bytes_ >> cluster_bits_);
  table_offset_ = moving_to_->offset;
  table_bytes_ = moving_to_->bytes;
  moving_to_.reset();
  return {};
}

}  // namespace eidolon::backend::image::qcow2
