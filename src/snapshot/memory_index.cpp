#include "snapshot/memory_index.h"

#include <algorithm>

#include "base/state_stream.h"

namespace eidolon::snapshot {

namespace {

constexpr uint32_t kMostPieces = 1024;

template <typename Self, typename Stream>
void chunk_fields(Self& chunk, Stream& s) {
  s(chunk.piece, chunk.number, chunk.offset, chunk.stored, chunk.checksum);
}

bool possible(const MemoryIndex& index, const Chunk& chunk, uint64_t file_length) {
  if (chunk.piece >= index.pieces.size()) return false;
  if (chunk.number * kChunkBytes >= index.pieces[chunk.piece]) return false;
  if (chunk.offset > file_length || chunk.stored > file_length - chunk.offset) return false;
  if (index.packed) return chunk.stored <= 2 * kChunkBytes;
  return chunk.stored == index.chunk_bytes(chunk) && chunk.offset % kPageBytes == 0;
}

bool before(const Chunk& one, const Chunk& other) {
  return one.piece != other.piece ? one.piece < other.piece : one.number < other.number;
}

}  // namespace

uint64_t MemoryIndex::chunk_bytes(const Chunk& chunk) const {
  return std::min(kChunkBytes, pieces[chunk.piece] - chunk.number * kChunkBytes);
}

std::vector<uint8_t> encode(const MemoryIndex& index) {
  StateWriter writer;
  writer.begin(kMemorySection, 1);
  writer(index.packed, static_cast<uint32_t>(index.pieces.size()));
  for (const uint64_t bytes : index.pieces) writer(bytes);
  writer(static_cast<uint64_t>(index.chunks.size()));
  for (const Chunk& chunk : index.chunks) chunk_fields(chunk, writer);
  writer.end();
  return writer.bytes();
}

Result<MemoryIndex> decode_memory_index(Bytes bytes, uint64_t file_length, const std::string& path) {
  MemoryIndex index;
  StateReader reader(bytes);
  uint32_t pieces = 0;
  uint64_t chunks = 0;
  reader.begin(kMemorySection);
  reader(index.packed, pieces);
  if (pieces > kMostPieces) reader.fail();
  for (uint32_t i = 0; i < pieces && !reader.failed(); ++i) {
    reader(index.pieces.emplace_back());
    if (index.pieces.back() % kPageBytes != 0) reader.fail();
  }
  reader(chunks);
  for (uint64_t i = 0; i < chunks && !reader.failed(); ++i) {
    Chunk chunk;
    chunk_fields(chunk, reader);
    const bool in_order = index.chunks.empty() || before(index.chunks.back(), chunk);
    if (reader.failed() || !in_order || !possible(index, chunk, file_length)) reader.fail();
    index.chunks.push_back(chunk);
  }
  reader.end();
  if (reader.failed())
    return fail("the snapshot '{}' is damaged in its list of memory; restore from another copy", path);
  return index;
}

}  // namespace eidolon::snapshot
