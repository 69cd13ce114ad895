#include "snapshot/memory_changes.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/state_stream.h"
#include "base/try.h"
#include "snapshot/memory_reader.h"

namespace eidolon::snapshot {

namespace {

using Pieces = std::span<const std::span<uint8_t>>;

constexpr size_t kBatchPages = 256;
constexpr size_t kMostBases = 256;
constexpr int kLevel = 1;  ///< as of whole memory

/// Pages that lie in the file one after the other, or in one frame of Zstandard.
struct Batch {
  std::vector<PagePlace> pages;
  uint64_t offset = 0;
  uint32_t stored = 0;
  uint64_t checksum = 0;
};

struct Changes {
  Base base;
  bool packed = false;
  std::vector<uint64_t> pieces;  ///< bytes of each
  std::vector<Batch> batches;
};

template <typename Self, typename Stream>
void batch_fields(Self& batch, Stream& s) {
  s(batch.offset, batch.stored, batch.checksum);
  for (auto& page : batch.pages) s(page.piece, page.number);
}

std::vector<uint8_t> encode(const Changes& changes) {
  StateWriter writer;
  writer.begin(kChangesSection, 1);
  writer(std::vector<uint8_t>(changes.base.path.begin(), changes.base.path.end()), changes.base.identity,
         changes.packed, static_cast<uint32_t>(changes.pieces.size()));
  for (const uint64_t bytes : changes.pieces) writer(bytes);
  writer(static_cast<uint32_t>(changes.batches.size()));
  for (const Batch& batch : changes.batches) {
    writer(static_cast<uint32_t>(batch.pages.size()));
    batch_fields(batch, writer);
  }
  writer.end();
  return writer.bytes();
}

bool possible(const Changes& changes, const Batch& batch, uint64_t file_length) {
  const uint64_t bytes = batch.pages.size() * kPageBytes;
  return batch.offset <= file_length && batch.stored <= file_length - batch.offset &&
         (changes.packed ? batch.stored <= ZSTD_compressBound(bytes) : batch.stored == bytes) &&
         std::ranges::all_of(batch.pages, [&changes](const PagePlace& page) {
           return page.piece < changes.pieces.size() && page.number < changes.pieces[page.piece] / kPageBytes;
         });
}

Result<Changes> decode(const FileReader& from) {
  const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section(kChangesSection));
  StateReader reader(bytes);
  Changes changes;
  std::vector<uint8_t> path;
  uint32_t pieces = 0, batches = 0;
  reader.begin(kChangesSection);
  reader(path, changes.base.identity, changes.packed, pieces);
  changes.base.path.assign(path.begin(), path.end());
  for (uint32_t i = 0; i < pieces && !reader.failed(); ++i) reader(changes.pieces.emplace_back());
  reader(batches);
  for (uint32_t i = 0; i < batches && !reader.failed(); ++i) {
    uint32_t pages = 0;
    reader(pages);
    if (pages == 0 || pages > kBatchPages) reader.fail();
    Batch& batch = changes.batches.emplace_back();
    batch.pages.resize(reader.failed() ? 0 : pages);
    batch_fields(batch, reader);
    if (!possible(changes, batch, from.length())) reader.fail();
  }
  if (reader.failed())
    return fail("the snapshot '{}' is damaged in its list of changes; restore from another copy",
                from.path());
  return changes;
}

/// Where it was, or beside the one that names it, for both may have been moved.
Result<FileReader> open_base(const Base& base, const FileReader& of) {
  const std::string beside =
      (std::filesystem::path(of.path()).parent_path() / std::filesystem::path(base.path).filename()).string();
  for (const std::string& path : {base.path, beside}) {
    auto file = FileReader::open(path);
    if (file && file->identity() == base.identity) return file;
  }
  return fail(
      "the snapshot '{}' has only what was written since '{}', which is not there or is another one; put it "
      "back",
      of.path(), base.path);
}

Result<> apply_batch(const FileReader& from, const Changes& changes, const Batch& batch, Pieces pieces) {
  std::vector<uint8_t> stored(batch.stored), pages(batch.pages.size() * kPageBytes);
  EIDOLON_TRY(from.read(batch.offset, stored));
  if (checksum(stored) != batch.checksum) return damaged_memory(from, batch.offset);
  if (!changes.packed) {
    pages.swap(stored);
  } else if (ZSTD_decompress(pages.data(), pages.size(), stored.data(), stored.size()) != pages.size()) {
    return damaged_memory(from, batch.offset);
  }
  for (size_t i = 0; i < batch.pages.size(); ++i)
    std::memcpy(pieces[batch.pages[i].piece].data() + batch.pages[i].number * kPageBytes,
                pages.data() + i * kPageBytes, kPageBytes);
  return {};
}

Result<> apply_changes(const FileReader& from, Pieces pieces) {
  const Changes changes = EIDOLON_TRY(decode(from));
  EIDOLON_TRY(check_pieces(from, changes.pieces, pieces));
  for (const Batch& batch : changes.batches) EIDOLON_TRY(apply_batch(from, changes, batch, pieces));
  return {};
}

Result<Batch> write_batch(FileWriter& to, std::span<const Bytes> pieces, std::span<const PagePlace> pages,
                          bool packed) {
  std::vector<uint8_t> bytes;
  for (const PagePlace& page : pages) {
    const Bytes from = pieces[page.piece].subspan(page.number * kPageBytes, kPageBytes);
    bytes.insert(bytes.end(), from.begin(), from.end());
  }
  if (packed) {
    std::vector<uint8_t> room(ZSTD_compressBound(bytes.size()));
    const size_t length = ZSTD_compress(room.data(), room.size(), bytes.data(), bytes.size(), kLevel);
    if (ZSTD_isError(length))
      return fail("the snapshot's memory cannot be packed; free some memory, or leave out --compress");
    room.resize(length);
    bytes.swap(room);
  }
  Batch batch{.pages = {pages.begin(), pages.end()},
              .offset = to.reserve(bytes.size(), packed ? 1 : kPageBytes),
              .stored = static_cast<uint32_t>(bytes.size()),
              .checksum = checksum(bytes)};
  EIDOLON_TRY(to.write(batch.offset, bytes));
  return batch;
}

}  // namespace

Result<> write_changes(FileWriter& to, const Base& base, std::span<const Bytes> pieces,
                       std::span<const PagePlace> pages, Packing packing) {
  Changes changes{.base = base, .packed = packing == Packing::kPacked, .pieces = {}, .batches = {}};
  for (const Bytes& piece : pieces) changes.pieces.push_back(piece.size());
  for (; !pages.empty(); pages = pages.subspan(std::min(kBatchPages, pages.size())))
    changes.batches.push_back(EIDOLON_TRY(
        write_batch(to, pieces, pages.first(std::min(kBatchPages, pages.size())), changes.packed)));
  return to.add(kChangesSection, encode(changes));
}

Result<std::vector<FileReader>> open_bases(const FileReader& from) {
  std::vector<FileReader> bases;
  for (const FileReader* at = &from; at->has(kChangesSection); at = &bases.back()) {
    if (bases.size() == kMostBases)
      return fail("the snapshot '{}' stands on more than {} others; take one with all its memory",
                  from.path(), kMostBases);
    const Changes changes = EIDOLON_TRY(decode(*at));
    bases.push_back(EIDOLON_TRY(open_base(changes.base, *at)));
  }
  return bases;
}

Result<> read_memory_and_changes(const FileReader& from, std::span<const FileReader> bases, Pieces pieces) {
  const FileReader& whole = bases.empty() ? from : bases.back();
  const MemoryIndex index = EIDOLON_TRY(read_memory_index(whole));
  EIDOLON_TRY(read_memory(whole, index, pieces));
  for (size_t i = bases.size(); i-- > 0;) EIDOLON_TRY(apply_changes(i == 0 ? from : bases[i - 1], pieces));
  return {};
}

}  // namespace eidolon::snapshot
