// The commands of a disk that move, check or forget blocks (SBC-3, chapter 5).
#include <algorithm>

#include "device/storage/scsi_disk.h"
#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::scsi {

namespace {

constexpr uint8_t kForceUnitAccess = 0x08, kProtection = 0xe0;  // byte 1 of reads and writes
constexpr uint8_t kAnchor = 0x10, kMayUnmap = 0x08, kNoData = 0x01;

bool is_read(const Cdb& cdb) {
  return cdb[0] == kRead6 || cdb[0] == kRead10 || cdb[0] == kRead12 || cdb[0] == kRead16;
}
bool is_write(const Cdb& cdb) {
  return cdb[0] == kWrite6 || cdb[0] == kWrite10 || cdb[0] == kWrite12 || cdb[0] == kWrite16;
}

bool through_the_cache(const Cdb& cdb) {
  return cdb[0] != kRead6 && cdb[0] != kWrite6 && (cdb[1] & kForceUnitAccess) != 0;
}

/// Protection information, which the disk does not have. In the shortest form these bits are the address's.
bool protects(const Cdb& cdb) { return cdb[0] != kRead6 && cdb[0] != kWrite6 && (cdb[1] & kProtection) != 0; }

}  // namespace

/// Where a command's address and length are depends on its group (SPC-4, 4.2.5.1).
Disk::Blocks Disk::blocks_of(const Cdb& cdb) {
  switch (cdb[0] >> 5) {
    case 0:
      return {.first = field(cdb, 1, 3) & 0x1fffff, .count = cdb[4] == 0 ? 256u : cdb[4]};
    case 4:
      return {.first = field(cdb, 2, 8), .count = field(cdb, 10, 4)};
    case 5:
      return {.first = field(cdb, 2, 4), .count = field(cdb, 6, 4)};
    default:
      return {.first = field(cdb, 2, 4), .count = field(cdb, 7, 2)};
  }
}

Sense Disk::check(const Blocks& where, uint64_t most) const {
  if (where.first > blocks() || where.count > blocks() - where.first) return kBeyondTheEnd;
  return where.count > most ? kInvalidField : Sense{};
}

Answer Disk::read(const Request& request) {
  const Blocks where = blocks_of(request.cdb);
  if (protects(request.cdb)) return failed(kInvalidField);
  if (const Sense sense = check(where, kMostTransfer); sense.key != 0) return failed(sense);
  const uint64_t length = where.count * kBlock;
  if (request.room() < length) return {.overrun = true};
  if (length == 0) return {};
  // The medium itself is asked for: what is in its cache goes there first.
  if (through_the_cache(request.cdb) && !medium_.read_only() && medium_.flush() != IoStatus::kDone)
    return failed(kReadError);
  if (medium_.read(where.first * kBlock, part_of(request.to_guest, 0, length)) != IoStatus::kDone)
    return failed(kReadError);
  return {.moved = length};
}

Sense Disk::finish_write(IoStatus done, bool through) {
  if (done == IoStatus::kDone && (through || !write_cache_)) done = medium_.flush();
  return sense_of(done);
}

Sense Disk::sense_of(IoStatus done) {
  if (done == IoStatus::kNoSpace) return kNoRoom;
  return done == IoStatus::kDone ? Sense{} : kWriteError;
}

Answer Disk::write(const Request& request) {
  const Blocks where = blocks_of(request.cdb);
  if (protects(request.cdb)) return failed(kInvalidField);
  if (medium_.read_only()) return failed(kWriteProtected);
  if (const Sense sense = check(where, kMostTransfer); sense.key != 0) return failed(sense);
  const uint64_t length = where.count * kBlock;
  if (request.sent() < length) return {.overrun = true};
  if (length == 0) return {};
  const IoStatus done = medium_.write(where.first * kBlock, part_of(request.from_guest, 0, length));
  return {.sense = finish_write(done, through_the_cache(request.cdb)), .moved = length};
}

/// A small read or write of which nothing is wrong, and that stops at the cache.
std::optional<Answer> Disk::execute_at_once(const Request& request) {
  const Cdb& cdb = request.cdb;
  const bool in = is_read(cdb);
  if (!in && (!is_write(cdb) || !write_cache_ || medium_.read_only())) return std::nullopt;
  const Blocks where = blocks_of(cdb);
  const uint64_t length = where.count * kBlock;
  const std::span<const iovec> data = in ? request.to_guest : request.from_guest;
  if (through_the_cache(cdb) || protects(cdb) || check(where, kMostAtOnce / kBlock).key != 0 || length == 0 ||
      (in ? request.room() : request.sent()) < length || has_attention())
    return std::nullopt;
  const auto part = part_of(data, 0, length);
  const bool done = in ? medium_.read_at_once(where.first * kBlock, part)
                       : medium_.write_at_once(where.first * kBlock, part);
  if (!done) return std::nullopt;
  return Answer{.moved = length};
}

/// Reads the blocks and forgets them. Comparing them with others (BYTCHK) is not offered.
Answer Disk::verify(const Request& request) {
  constexpr uint8_t kByteCheck = 0x06;
  constexpr uint64_t kPart = 256 << 10;
  const Blocks where = blocks_of(request.cdb);
  if (protects(request.cdb) || (request.cdb[1] & kByteCheck) != 0) return failed(kInvalidField);
  if (const Sense sense = check(where, kMostTransfer); sense.key != 0) return failed(sense);
  std::vector<uint8_t> bytes(std::min(kPart, where.count * kBlock));
  for (uint64_t at = 0; at < where.count * kBlock; at += bytes.size()) {
    const iovec part = {bytes.data(), std::min<uint64_t>(bytes.size(), where.count * kBlock - at)};
    if (medium_.read(where.first * kBlock + at, {&part, 1}) != IoStatus::kDone) return failed(kReadError);
  }
  return {};
}

/// All of the cache, whichever part of it is meant.
Answer Disk::synchronize(const Request& request) {
  const Blocks where = blocks_of(request.cdb);
  if (const Sense sense = check(where, where.count); sense.key != 0) return failed(sense);
  if (medium_.read_only()) return {};
  return {.sense = sense_of(medium_.flush())};
}

Answer Disk::unmap(const Request& request) {
  constexpr uint64_t kHeader = 8, kRange = 16;
  const uint64_t length = field(request.cdb, 7, 2);
  if ((request.cdb[1] & 1) != 0) return failed(kInvalidField);  // anchored
  if (medium_.read_only()) return failed(kWriteProtected);
  if (length == 0) return {};
  if (length < kHeader) return failed(kParametersTooShort);
  if (request.sent() < length) return {.overrun = true};
  std::vector<uint8_t> bytes(length);
  gather(request.from_guest, bytes);
  const uint64_t told = get_big(std::span(bytes).subspan(2, 2));
  const uint64_t ranges = std::min(told, length - kHeader) / kRange;
  if (ranges > kMostUnmapRanges) return failed(kInvalidParameter);
  std::vector<Blocks> all;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < ranges; ++i) {
    const auto range = std::span(bytes).subspan(kHeader + i * kRange, kRange);
    const Blocks where = {.first = get_big(range.first(8)), .count = get_big(range.subspan(8, 4))};
    if (const Sense sense = check(where, where.count); sense.key != 0) return failed(sense);
    sum += where.count;
    all.push_back(where);
  }
  if (sum > kMostUnmap) return failed(kInvalidParameter);
  for (const Blocks& where : all) {
    if (where.count == 0) continue;
    const IoStatus done = medium_.discard(where.first * kBlock, where.count * kBlock);
    if (done != IoStatus::kDone) return {.sense = sense_of(done)};
  }
  return {.moved = length};
}

Answer Disk::write_same(const Request& request) {
  const Cdb& cdb = request.cdb;
  const Blocks where = blocks_of(cdb);
  const bool no_data = cdb[0] == kWriteSame16 && (cdb[1] & kNoData) != 0;
  if ((cdb[1] & (kProtection | kAnchor)) != 0 || where.count == 0) return failed(kInvalidField);
  if (medium_.read_only()) return failed(kWriteProtected);
  if (const Sense sense = check(where, kMostSame); sense.key != 0) return failed(sense);
  std::array<uint8_t, kBlock> block{};
  if (!no_data) {
    if (request.sent() < kBlock) return {.overrun = true};
    gather(request.from_guest, block);
  }
  const bool zeros = std::ranges::all_of(block, [](uint8_t byte) { return byte == 0; });
  const IoStatus done =
      zeros ? medium_.write_zeroes(where.first * kBlock, where.count * kBlock, (cdb[1] & kMayUnmap) != 0)
            : write_pattern(where, block);
  return {.sense = finish_write(done, false), .moved = no_data ? 0 : kBlock};
}

IoStatus Disk::write_pattern(const Blocks& where, std::span<uint8_t> pattern) {
  constexpr uint64_t kBlocksAtOnce = 256;
  const uint64_t at_once = std::min(kBlocksAtOnce, where.count);
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < at_once; ++i) bytes.insert(bytes.end(), pattern.begin(), pattern.end());
  for (uint64_t done = 0; done < where.count; done += at_once) {
    const iovec part = {bytes.data(), std::min(at_once, where.count - done) * kBlock};
    const IoStatus status = medium_.write((where.first + done) * kBlock, {&part, 1});
    if (status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

}  // namespace eidolon::device::storage::scsi
