#include "snapshot/memory_writer.h"

#include <zstd.h>

#include <memory>
#include <vector>

#include "base/try.h"
#include "snapshot/memory_index.h"
#include "snapshot/zero_page.h"

namespace eidolon::snapshot {

namespace {

/// At this level one thread packs faster than disks write.
constexpr int kLevel = 1;

bool all_zero(Bytes chunk) {
  for (uint64_t at = 0; at < chunk.size(); at += kPageBytes)
    if (!is_zero(chunk.subspan(at, kPageBytes))) return false;
  return true;
}

/// Page by page, but for those that are zeros.
Result<> write_plain(FileWriter& to, uint64_t offset, Bytes chunk) {
  for (uint64_t at = 0; at < chunk.size();) {
    uint64_t end = at;
    while (end < chunk.size() && !is_zero(chunk.subspan(end, kPageBytes))) end += kPageBytes;
    EIDOLON_TRY(to.write(offset + at, chunk.subspan(at, end - at)));
    at = end + kPageBytes;
  }
  return {};
}

class Packer {
 public:
  Result<Bytes> pack(Bytes chunk) {
    room_.resize(ZSTD_compressBound(kChunkBytes));
    const size_t length =
        ZSTD_compressCCtx(context_.get(), room_.data(), room_.size(), chunk.data(), chunk.size(), kLevel);
    if (context_ == nullptr || ZSTD_isError(length))
      return fail("the snapshot's memory cannot be packed; free some memory, or leave out --compress");
    return Bytes(room_).first(length);
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_{ZSTD_createCCtx(), ZSTD_freeCCtx};
  std::vector<uint8_t> room_;
};

}  // namespace

Result<> write_memory(FileWriter& to, std::span<const Bytes> pieces, Packing packing) {
  MemoryIndex index{.packed = packing == Packing::kPacked, .pieces = {}, .chunks = {}};
  Packer packer;
  for (const Bytes& piece : pieces) {
    const auto number = static_cast<uint32_t>(index.pieces.size());
    index.pieces.push_back(piece.size());
    for (uint64_t at = 0; at < piece.size(); at += kChunkBytes) {
      const Bytes chunk = piece.subspan(at, std::min(kChunkBytes, piece.size() - at));
      if (all_zero(chunk)) continue;
      const Bytes stored = index.packed ? EIDOLON_TRY(packer.pack(chunk)) : chunk;
      const uint64_t offset = to.reserve(stored.size(), index.packed ? 1 : kPageBytes);
      EIDOLON_TRY(index.packed ? to.write(offset, stored) : write_plain(to, offset, stored));
      index.chunks.push_back({.piece = number,
                              .number = static_cast<uint32_t>(at / kChunkBytes),
                              .offset = offset,
                              .stored = static_cast<uint32_t>(stored.size()),
                              .checksum = checksum(stored)});
    }
  }
  return to.add(kMemorySection, encode(index));
}

}  // namespace eidolon::snapshot
