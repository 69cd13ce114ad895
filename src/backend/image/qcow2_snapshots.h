// The internal snapshots of an image. They are kept as they are: what they share with the disk is copied
// before it is written.
#pragma once

#include <string>
#include <vector>

#include "backend/image/qcow2_header.h"

namespace eidolon::backend::image::qcow2 {

struct Snapshot {
  uint64_t l1_offset;
  uint32_t l1_entries;
  std::string id;
  std::string name;
};
struct SnapshotTable {
  std::vector<Snapshot> snapshots;
  uint64_t bytes = 0;  ///< of the table in the file
};

/// kFailed also where the table or the L1 tables it names cannot be.
IoResult<SnapshotTable> read_snapshots(File& file, const Header& header);
/// A snapshot's L1 table: places of L2 tables without the flags; 0: none.
IoResult<std::vector<uint64_t>> read_l1(File& file, uint64_t offset, uint32_t entries);

}  // namespace eidolon::backend::image::qcow2
