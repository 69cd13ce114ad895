#include "backend/image/tables.h"

#include <algorithm>

#include "backend/image/big_endian.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image {

IoResult<> Tables::read(uint64_t table, uint64_t at, std::span<uint8_t> into) {
  std::lock_guard lock(mutex_);
  const Table* found = EIDOLON_TRY(get(table));
  std::copy_n(found->bytes.begin() + static_cast<ptrdiff_t>(at), into.size(), into.begin());
  return {};
}

IoResult<> Tables::write(uint64_t table, uint64_t at, std::span<const uint8_t> from) {
  std::lock_guard lock(mutex_);
  Table* found = EIDOLON_TRY(get(table));
  std::copy(from.begin(), from.end(), found->bytes.begin() + static_cast<ptrdiff_t>(at));
  constexpr size_t kSector = 512;  // a host's disk writes no less
  const size_t first = align_down(at, kSector), last = align_up(at + from.size(), kSector);
  const bool was_clean = found->dirty_from == found->dirty_to;
  if (was_clean) ++changed_;
  found->dirty_from = was_clean ? first : std::min(found->dirty_from, first);
  found->dirty_to = was_clean ? last : std::max(found->dirty_to, last);
  return {};
}

IoResult<> Tables::read_entries(uint64_t table, uint64_t index, std::span<uint64_t> into) {
  std::lock_guard lock(mutex_);
  const Table* found = EIDOLON_TRY(get(table));
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = load_big_endian<uint64_t>(&found->bytes[(index + i) * 8]);
  return {};
}

IoResult<> Tables::write_entries(uint64_t table, uint64_t index, std::span<const uint64_t> from) {
  std::vector<uint8_t> bytes(from.size() * 8);
  for (size_t i = 0; i < from.size(); ++i) store_big_endian(&bytes[i * 8], from[i]);
  return write(table, index * 8, bytes);
}

void Tables::create(uint64_t table) {
  drop(table);
  std::lock_guard lock(mutex_);
  Table& made = insert(table, std::vector<uint8_t>(table_bytes_, 0));
  made.dirty_to = table_bytes_;
  ++changed_;
}

void Tables::drop(uint64_t table) {
  std::lock_guard lock(mutex_);
  const auto found = tables_.find(table);
  if (found == tables_.end()) return;
  if (found->second.dirty_from != found->second.dirty_to) --changed_;
  ages_.erase(found->second.age);
  tables_.erase(found);
}

size_t Tables::changed() const {
  std::lock_guard lock(mutex_);
  return changed_;
}

IoResult<> Tables::write_back() {
  std::lock_guard lock(mutex_);
  std::vector<uint64_t> places;
  for (const auto& [place, table] : tables_)
    if (table.dirty_from != table.dirty_to) places.push_back(place);
  std::sort(places.begin(), places.end());
  for (const uint64_t place : places) {
    Table& table = tables_.at(place);
    const std::span<const uint8_t> bytes(table.bytes);
    EIDOLON_TRY(write_bytes(file_, place + table.dirty_from,
                            bytes.subspan(table.dirty_from, table.dirty_to - table.dirty_from)));
    table.dirty_from = table.dirty_to = 0;
    --changed_;
  }
  make_room();
  return {};
}

IoResult<Tables::Table*> Tables::get(uint64_t table) {
  if (const auto found = tables_.find(table); found != tables_.end()) {
    ages_.splice(ages_.begin(), ages_, found->second.age);
    return &found->second;
  }
  std::vector<uint8_t> bytes(table_bytes_);
  const iovec part = {bytes.data(), bytes.size()};
  EIDOLON_TRY(read_padded(file_, table, {&part, 1}));
  return &insert(table, std::move(bytes));
}

Tables::Table& Tables::insert(uint64_t table, std::vector<uint8_t> bytes) {
  make_room();
  ages_.push_front(table);
  return tables_
      .insert_or_assign(
          table, Table{.bytes = std::move(bytes), .dirty_from = 0, .dirty_to = 0, .age = ages_.begin()})
      .first->second;
}

void Tables::make_room() {
  for (auto oldest = ages_.end(); tables_.size() >= limit_ && oldest != ages_.begin();) {
    --oldest;
    const auto found = tables_.find(*oldest);
    if (found->second.dirty_from != found->second.dirty_to) continue;
    tables_.erase(found);
    oldest = ages_.erase(oldest);
  }
}

}  // namespace eidolon::backend::image
