#include "snapshot/memory_reader.h"

#include <sys/mman.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/try.h"

namespace eidolon::snapshot {

namespace {

using Pieces = std::span<const std::span<uint8_t>>;

/// How many chunks from `first` on follow each other both in memory and in the file.
size_t run_length(const MemoryIndex& index, size_t first) {
  size_t end = first + 1;
  for (; end < index.chunks.size(); ++end) {
    const Chunk& last = index.chunks[end - 1];
    const Chunk& next = index.chunks[end];
    if (next.piece != last.piece || next.number != last.number + 1 ||
        next.offset != last.offset + last.stored)
      break;
  }
  return end - first;
}

/// One mapping for each run: a process may have a limited number of them.
Result<> map_chunks(const FileReader& from, const MemoryIndex& index, Pieces pieces) {
  for (size_t first = 0; first < index.chunks.size();) {
    const size_t count = run_length(index, first);
    const Chunk& begin = index.chunks[first];
    const Chunk& last = index.chunks[first + count - 1];
    const uint64_t length = last.offset + last.stored - begin.offset;
    uint8_t* at = pieces[begin.piece].data() + begin.number * kChunkBytes;
    // SAFETY: the index was checked against the pieces, so that this replaces pages of theirs and no others.
    void* mapped = mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                        from.file(), static_cast<off_t>(begin.offset));
    if (mapped == MAP_FAILED)
      return fail("cannot map the snapshot '{}' ({}); copy it to a local disk, or raise vm.max_map_count",
                  from.path(), strerror(errno));
    first += count;
  }
  return {};
}

/// Every `step`-th chunk from `first` on.
Result<> unpack_chunks(const FileReader& from, const MemoryIndex& index, Pieces pieces, size_t first,
                       size_t step) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  std::vector<uint8_t> stored;
  for (size_t i = first; i < index.chunks.size(); i += step) {
    const Chunk& chunk = index.chunks[i];
    stored.resize(chunk.stored);
    EIDOLON_TRY(from.read(chunk.offset, stored));
    const uint64_t length = index.chunk_bytes(chunk);
    uint8_t* to = pieces[chunk.piece].data() + chunk.number * kChunkBytes;
    if (checksum(stored) != chunk.checksum) return damaged_memory(from, chunk.offset);
    if (ZSTD_decompressDCtx(context.get(), to, length, stored.data(), stored.size()) != length)
      return damaged_memory(from, chunk.offset);
  }
  return {};
}

Result<> unpack_all(const FileReader& from, const MemoryIndex& index, Pieces pieces) {
  const size_t threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  std::vector<Result<>> results(threads);
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i)
    others.emplace_back([&, i] { results[i] = unpack_chunks(from, index, pieces, i, threads); });
  results[0] = unpack_chunks(from, index, pieces, 0, threads);
  for (std::thread& other : others) other.join();
  for (const Result<>& result : results)
    if (!result) return result;
  return {};
}

}  // namespace

std::unexpected<Error> damaged_memory(const FileReader& file, uint64_t offset) {
  return fail(
      "the snapshot '{}' is damaged in the guest's memory (byte {} of the file); restore from another copy",
      file.path(), offset);
}

Result<MemoryIndex> read_memory_index(const FileReader& from) {
  const std::vector<uint8_t> list = EIDOLON_TRY(from.section(kMemorySection));
  return decode_memory_index(list, from.length(), from.path());
}

Result<> check_pieces(const FileReader& file, std::span<const uint64_t> lengths, Pieces pieces) {
  const auto same = [](uint64_t bytes, const std::span<uint8_t>& piece) { return bytes == piece.size(); };
  if (std::ranges::equal(lengths, pieces, same)) return {};
  return fail(
      "the memory in the snapshot '{}' is not laid out as this machine's; use the version of Eidolon that "
      "took it",
      file.path());
}

Result<> read_memory(const FileReader& from, const MemoryIndex& index, Pieces pieces) {
  EIDOLON_TRY(check_pieces(from, index.pieces, pieces));
  return index.packed ? unpack_all(from, index, pieces) : map_chunks(from, index, pieces);
}

}  // namespace eidolon::snapshot
