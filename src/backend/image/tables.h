// The tables of an image that all have one size (L2 tables, refcount blocks, grain tables), in memory. What
// is changed stays here until write_back(): the caller decides in which order tables reach the disk.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "backend/image/file.h"

namespace eidolon::backend::image {

/// Entries are copied out and in, so that no pointer outlives the lock. From any thread.
class Tables {
 public:
  /// Keeps about `limit` tables; more only while they are changed.
  Tables(File& file, uint64_t table_bytes, size_t limit)
      : file_(file), table_bytes_(table_bytes), limit_(limit) {}

  /// Bytes [at, at + into.size()) of the table at `table`.
  IoResult<> read(uint64_t table, uint64_t at, std::span<uint8_t> into);
  IoResult<> write(uint64_t table, uint64_t at, std::span<const uint8_t> from);
  /// Numbers of 64 bits, from the one at `index` on.
  IoResult<> read_entries(uint64_t table, uint64_t index, std::span<uint64_t> into);
  IoResult<> write_entries(uint64_t table, uint64_t index, std::span<const uint64_t> from);
  /// A table of zeroes in a cluster whose contents do not matter.
  void create(uint64_t table);
  /// Forgets it, changed or not.
  void drop(uint64_t table);

  [[nodiscard]] size_t changed() const;
  [[nodiscard]] size_t limit() const { return limit_; }
  /// Writes what was changed, and no flush.
  IoResult<> write_back();

 private:
  struct Table {
    std::vector<uint8_t> bytes;
    size_t dirty_from, dirty_to;  ///< what has to be written; equal: nothing
    std::list<uint64_t>::iterator age;
  };
  IoResult<Table*> get(uint64_t table);
  Table& insert(uint64_t table, std::vector<uint8_t> bytes);
  void make_room();

  File& file_;
  const uint64_t table_bytes_;
  const size_t limit_;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, Table> tables_;  ///< by place in the file
  std::list<uint64_t> ages_;                    ///< used last, first
  size_t changed_ = 0;
};

}  // namespace eidolon::backend::image
