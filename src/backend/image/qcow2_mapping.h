// Where each cluster of the disk lies in the image: the L1 table and its L2 tables.
#pragma once

#include <atomic>
#include <vector>

#include "backend/image/qcow2_header.h"
#include "backend/image/qcow2_places.h"
#include "backend/image/qcow2_refcounts.h"
#include "backend/image/tables.h"

namespace eidolon::backend::image::qcow2 {

/// A piece of the disk whose bytes are all found in the same way.
struct Extent {
  enum class Kind : uint8_t {
    kAbsent,      ///< as in the backing file, or zeroes
    kZero,        ///< zeroes
    kData,        ///< at `host`
    kCompressed,  ///< within the compressed cluster that `entry` names
  };
  Kind kind;
  bool writable;    ///< kData: no snapshot shares it
  uint64_t host;    ///< kData: of the first byte
  uint64_t entry;   ///< kCompressed, and kZero that keeps a cluster: the L2 entry
  uint64_t length;  ///< bytes
};

/// find() from any thread; the others while no find() runs.
class Mapping {
 public:
  Mapping(File& file, const Header& header, Places& places, Health& health, Refcounts& refcounts);
  /// Reads the L1 table and notes the places of it and its L2 tables.
  IoResult<> load();

  /// At byte `offset` of the disk, no longer than `length`, and within one L2 table.
  IoResult<Extent> find(uint64_t offset, uint64_t length);
  /// From the cluster of `offset` on: L2 entries, one for each cluster. All within one L2 table.
  IoResult<> set(uint64_t offset, std::span<const uint64_t> entries);
  /// The entries that set() would replace.
  IoResult<> get(uint64_t offset, std::span<uint64_t> entries);
  /// How many bytes of the disk from `offset` on its L2 table covers.
  [[nodiscard]] uint64_t left_in_table(uint64_t offset) const;

  [[nodiscard]] bool changed() const { return tables_.changed() > 0 || l1_changed_from_ < l1_changed_to_; }
  [[nodiscard]] bool crowded() const { return tables_.changed() > tables_.limit() / 2; }
  /// L2 tables, then the L1 table; on the disk when this returns.
  IoResult<> write_back();

 private:
  [[nodiscard]] uint64_t l1_index(uint64_t offset) const { return offset >> (2 * cluster_bits_ - 3); }
  [[nodiscard]] uint64_t l2_index(uint64_t offset) const {
    return offset >> cluster_bits_ & ((uint64_t{1} << (cluster_bits_ - 3)) - 1);
  }
  /// An L2 table for `offset` that may be written.
  IoResult<uint64_t> own_table(uint64_t offset);
  void set_l1(uint64_t index, uint64_t table);
  IoResult<> check_data(uint64_t entry);

  File& file_;
  const Header& header_;
  const unsigned cluster_bits_;
  Places& places_;
  Health& health_;
  Refcounts& refcounts_;
  Tables tables_;
  std::vector<uint64_t> l1_;
  size_t l1_changed_from_ = 0, l1_changed_to_ = 0;  ///< entries; equal: none
};

}  // namespace eidolon::backend::image::qcow2
