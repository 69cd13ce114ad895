// Looks whether an image's refcounts are what its tables use, and sets them right: `eidolon image check`, and
// the repair of an image whose last writer had postponed them (lazy_refcounts) and was killed.
#pragma once

#include <string>

#include "backend/image/file.h"
#include "backend/image/qcow2_header.h"
#include "base/result.h"

namespace eidolon::backend::image {

struct CheckReport {
  uint64_t used_clusters = 0;  ///< of data
  uint64_t compressed_clusters = 0;
  uint64_t leaked = 0;     ///< clusters that count as used more often than they are: only room is lost
  uint64_t corrupt = 0;    ///< entries and counts that will lose data
  uint64_t end = 0;        ///< of the last cluster in use
  std::string first = {};  ///< the first of what is corrupt, for a person
};

/// Reads everything but data. Memory: 4 bytes for each cluster of the file.
Result<CheckReport> check_qcow2(File& file, const std::string& name, const qcow2::Header& header);

/// Makes the counts what the tables use, and the flags in the tables with them; clears the mark for it. The
/// image must have no other damage.
Result<> repair_qcow2(File& file, const std::string& name, const qcow2::Header& header);

}  // namespace eidolon::backend::image
