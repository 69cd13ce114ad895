// The frame of a snapshot's file (docs/snapshots.md):
//
//   preamble   64 bytes: magic, format version, where the table is, the file's length, checksums of both
//   sections   one after the other, in no order that matters
//   table      which section is where, with a checksum of each
//
// All numbers are little-endian. What a section holds is the business of whoever writes it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/result.h"
#include "snapshot/checksum.h"

namespace eidolon::snapshot {

/// Of the frame and of everything that readers cannot find out by themselves. Sections of devices have
/// versions of their own.
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kPreambleBytes = 64;

struct Section {
  std::string name;
  uint64_t offset = 0;  ///< in the file
  uint64_t length = 0;
  uint64_t checksum = 0;
};

using Preamble = std::array<uint8_t, kPreambleBytes>;

/// The table, and the preamble that leads to it when it is put at `offset`, where the file ends with it.
struct Frame {
  std::vector<uint8_t> table;
  Preamble preamble;
};
[[nodiscard]] Frame make_frame(const std::vector<Section>& sections, uint64_t offset);

/// Where the table is, by a preamble that was read from the start of `path`.
struct TablePlace {
  uint64_t offset, length, checksum, file_length;
};
[[nodiscard]] Result<TablePlace> read_preamble(Bytes preamble, const std::string& path);
/// All sections lie within the file.
[[nodiscard]] Result<std::vector<Section>> read_table(Bytes table, const TablePlace& place,
                                                      const std::string& path);

}  // namespace eidolon::snapshot
