// How often each cluster of an image is used: the refcount table and its blocks, and what follows from them,
// which clusters are free.
//
// On the disk a cluster's count is never lower than what the tables there use: counts go up before the L2
// table that uses a cluster is written, and down only after the table that used it is. A monitor that is
// killed leaves clusters that nobody uses at worst.
#pragma once

#include <optional>
#include <vector>

#include "backend/image/qcow2_header.h"
#include "backend/image/qcow2_places.h"
#include "backend/image/tables.h"

namespace eidolon::backend::image::qcow2 {

/// One thread at a time.
class Refcounts {
 public:
  Refcounts(File& file, const Header& header, Places& places, Health& health);
  /// Reads the table and notes the places of it and its blocks.
  IoResult<> load();

  /// In a new image: the first so many clusters have a count of one.
  IoResult<> count_structures(uint64_t clusters);

  IoResult<uint64_t> get(uint64_t cluster);
  /// That many clusters in a row that nobody used, with a count of one: the first one's place in the file.
  IoResult<uint64_t> allocate(uint64_t clusters);
  /// One use less, as soon as the tables that used them are on the disk.
  void free_later(uint64_t offset, uint64_t clusters = 1);
  /// One use less of clusters that no table on the disk has ever used.
  IoResult<> free_now(uint64_t offset, uint64_t clusters);

  [[nodiscard]] bool changed() const { return blocks_.changed() > 0 || table_changed_ || moving_to_; }
  [[nodiscard]] bool crowded() const {
    return blocks_.changed() > blocks_.limit() / 2 || freed_.size() > kMostFreed;
  }
  /// Everything that counts up, on the disk when this returns.
  IoResult<> write_back();
  /// Carries out free_later(). After the tables were written, and flushed.
  IoResult<> apply_frees();
  [[nodiscard]] bool has_frees() const { return !freed_.empty(); }

  /// The first byte behind every cluster that was ever given out.
  [[nodiscard]] uint64_t end() const { return end_; }

 private:
  static constexpr size_t kMostFreed = 65536;
  [[nodiscard]] uint64_t block_of(uint64_t cluster) const { return cluster / per_block_; }
  IoResult<> set(uint64_t cluster, uint64_t count);
  IoResult<std::optional<uint64_t>> find_free(uint64_t clusters);
  IoResult<bool> is_free(uint64_t cluster);
  IoResult<> ensure_block(uint64_t block);
  IoResult<> ensure_table(uint64_t block);
  IoResult<> move_table();
  IoResult<> lower(uint64_t cluster);
  struct Extent {
    uint64_t first;
    uint64_t clusters;
  };
  void give_back(const Extent& unused);

  File& file_;
  const unsigned cluster_bits_;
  const unsigned order_;
  const uint64_t per_block_;
  Places& places_;
  Health& health_;
  Tables blocks_;

  uint64_t table_offset_;
  uint64_t table_bytes_;         ///< on the disk
  std::vector<uint64_t> table_;  ///< places of the blocks; 0: none, every count in it is 0
  bool table_changed_ = false;
  struct Move {
    uint64_t offset;
    uint64_t bytes;
  };
  std::optional<Move> moving_to_;  ///< a larger table is written there next

  uint64_t next_free_ = 0;  ///< where the search begins: what was freed since is not below it
  uint64_t end_ = 0;
  std::vector<uint64_t> freed_;  ///< clusters, one for each use
};

}  // namespace eidolon::backend::image::qcow2
