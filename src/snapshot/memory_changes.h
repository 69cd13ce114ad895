// The pages of a machine's memory that were written since another snapshot was taken, its base, which a
// differential snapshot has in place of all its memory.
//
// The base is known by its identity, so that it is never taken for another one; it may itself have a base.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "snapshot/file_reader.h"
#include "snapshot/file_writer.h"
#include "snapshot/memory_writer.h"

namespace eidolon::snapshot {

inline constexpr const char* kChangesSection = "changes";

struct Base {
  std::string path;  ///< in full; it may also lie beside the file that names it
  uint64_t identity = 0;
};

struct PagePlace {
  uint32_t piece = 0;
  uint32_t number = 0;  ///< in the piece
};

/// The section kChangesSection, and what it leads to. The machine stands.
[[nodiscard]] Result<> write_changes(FileWriter& to, const Base& base, std::span<const Bytes> pieces,
                                     std::span<const PagePlace> pages, Packing packing);

/// Opens the base of `from`, and the base of that, until there is none: the last has all its memory. Nearest
/// first; empty: `from` has all its memory itself.
[[nodiscard]] Result<std::vector<FileReader>> open_bases(const FileReader& from);

/// Brings all memory into a machine (memory_reader.h), the changes of each over those of its base.
[[nodiscard]] Result<> read_memory_and_changes(const FileReader& from, std::span<const FileReader> bases,
                                               std::span<const std::span<uint8_t>> pieces);

}  // namespace eidolon::snapshot
