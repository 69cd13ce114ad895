// Which chunks of a machine's memory a snapshot holds, and where. Memory is the pieces that the machine has
// it in, in their order; a chunk is 2 MiB of one piece, and one that is all zeros is left out.
//
// Plain chunks lie in the file as in memory, page by page, and pages of zeros are holes: such a file can be
// mapped. Packed ones are a frame of Zstandard each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "snapshot/checksum.h"

namespace eidolon::snapshot {

inline constexpr uint64_t kChunkBytes = uint64_t{2} << 20;
inline constexpr uint64_t kPageBytes = 4096;

struct Chunk {
  uint32_t piece = 0;
  uint32_t number = 0;    ///< in the piece
  uint64_t offset = 0;    ///< in the file; plain: a multiple of the page size
  uint32_t stored = 0;    ///< bytes in the file; plain: as many as the chunk has
  uint64_t checksum = 0;  ///< of the bytes in the file
};

struct MemoryIndex {
  bool packed = false;
  std::vector<uint64_t> pieces;  ///< bytes of each
  std::vector<Chunk> chunks;     ///< in the order of memory

  /// Shorter than kChunkBytes at the end of a piece.
  [[nodiscard]] uint64_t chunk_bytes(const Chunk& chunk) const;
};

inline constexpr const char* kMemorySection = "memory";

[[nodiscard]] std::vector<uint8_t> encode(const MemoryIndex& index);
/// Every chunk lies in memory, none twice, and within a file of `file_length` bytes.
[[nodiscard]] Result<MemoryIndex> decode_memory_index(Bytes bytes, uint64_t file_length,
                                                      const std::string& path);

}  // namespace eidolon::snapshot
