// How often an image's tables use each of its clusters: what the refcounts should be.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/image/file.h"
#include "backend/image/qcow2_header.h"

namespace eidolon::backend::image::qcow2 {

class Usage {
 public:
  Usage(File& file, const Header& header);
  /// Files with more clusters cannot be counted in a reasonable amount of memory.
  static constexpr uint64_t kMostClusters = uint64_t{1} << 30;

  IoResult<> count_all();
  /// Everything but the refcounts' own structures.
  IoResult<> count_without_refcounts();

  [[nodiscard]] const std::vector<uint32_t>& counts() const { return counts_; }
  [[nodiscard]] uint64_t data_clusters() const { return data_clusters_; }
  [[nodiscard]] uint64_t compressed_clusters() const { return compressed_clusters_; }
  /// Entries that lead nowhere, and the first of them.
  [[nodiscard]] uint64_t bad() const { return bad_; }
  [[nodiscard]] const std::string& first_bad() const { return first_bad_; }
  void add_bad(std::string what);
  [[nodiscard]] const std::vector<uint64_t>& refcount_table() const { return refcount_table_; }

 private:
  void use(uint64_t offset, uint64_t length, const char* what);
  IoResult<> count_refcounts();
  IoResult<> count_tables(uint64_t l1_offset, uint32_t l1_entries, bool active);
  IoResult<> count_l2(uint64_t table, bool active);

  File& file_;
  const Header& header_;
  std::vector<uint32_t> counts_;  ///< by cluster
  std::vector<uint64_t> refcount_table_;
  uint64_t data_clusters_ = 0, compressed_clusters_ = 0, bad_ = 0;
  std::string first_bad_;
};

}  // namespace eidolon::backend::image::qcow2
