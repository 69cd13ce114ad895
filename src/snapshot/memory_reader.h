// Brings a snapshot's memory into a machine.
//
// A plain snapshot is mapped: pages come from the file as the guest touches them, and what the guest writes
// is its own, so that the machine can go on at once however large it is. Looking at the checksums takes
// longer than mapping; memory_checker.h does that meanwhile. A packed snapshot is unpacked and checked before
// the machine goes on.
#pragma once

#include <span>

#include "base/result.h"
#include "snapshot/file_reader.h"
#include "snapshot/memory_index.h"

namespace eidolon::snapshot {

[[nodiscard]] Result<MemoryIndex> read_memory_index(const FileReader& from);

/// `pieces` are pages of ours that nothing uses yet, all zeros. Mapped over where the snapshot has something.
[[nodiscard]] Result<> read_memory(const FileReader& from, const MemoryIndex& index,
                                   std::span<const std::span<uint8_t>> pieces);

/// The sentence about it.
[[nodiscard]] std::unexpected<Error> damaged_memory(const FileReader& file, uint64_t offset);

/// Whether a machine's memory is in pieces of these lengths.
[[nodiscard]] Result<> check_pieces(const FileReader& file, std::span<const uint64_t> lengths,
                                    std::span<const std::span<uint8_t>> pieces);

}  // namespace eidolon::snapshot
