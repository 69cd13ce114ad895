// The header of a qcow2 image: read and checked, so that everything else can rely on what it says.
#pragma once

#include <string>
#include <vector>

#include "backend/image/file.h"
#include "base/result.h"

namespace eidolon::backend::image::qcow2 {

enum class Compression : uint8_t { kZlib = 0, kZstd = 1 };

struct Header {
  uint32_t version = 3;
  unsigned cluster_bits = 16;
  uint64_t size = 0;  ///< of the disk
  uint64_t l1_offset = 0;
  uint32_t l1_entries = 0;
  uint64_t refcount_table_offset = 0;
  uint32_t refcount_table_clusters = 0;
  uint32_t snapshots = 0;
  uint64_t snapshots_offset = 0;
  uint64_t incompatible = 0;
  uint64_t compatible = 0;
  uint64_t autoclear = 0;
  unsigned refcount_order = 4;  ///< a refcount has 1 << order bits
  uint32_t length = 0;          ///< of the header itself, with extensions and the backing file's name
  Compression compression = Compression::kZlib;
  std::string backing_file;    ///< empty: none
  std::string backing_format;  ///< empty: not said

  [[nodiscard]] uint64_t cluster_bytes() const { return uint64_t{1} << cluster_bits; }
  [[nodiscard]] uint64_t clusters(uint64_t bytes) const {
    return (bytes + cluster_bytes() - 1) >> cluster_bits;
  }
  [[nodiscard]] uint64_t entries_per_l2() const { return cluster_bytes() / 8; }
  [[nodiscard]] uint64_t refcounts_per_block() const { return (cluster_bytes() * 8) >> refcount_order; }
  [[nodiscard]] uint64_t l1_entries_needed() const {
    return (clusters(size) + entries_per_l2() - 1) / entries_per_l2();
  }
};

/// `name` is for messages. Refuses what this program cannot read; says nothing about writing.
Result<Header> read_header(File& file, const std::string& name);
/// The first cluster of a new image, with extensions and the backing file's name.
[[nodiscard]] std::vector<uint8_t> header_cluster(const Header& header);

}  // namespace eidolon::backend::image::qcow2
