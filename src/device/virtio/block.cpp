#include "device/virtio/block.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace eidolon::device::virtio {

using storage::IoStatus;

namespace {

constexpr uint16_t kType = 2, kQueueSize = 256;
constexpr uint64_t kSector = 512;

constexpr uint64_t kFeatureSegments = 1u << 2, kFeatureReadOnly = 1u << 5, kFeatureBlockSize = 1u << 6,
                   kFeatureFlush = 1u << 9, kFeatureConfigCache = 1u << 11, kFeatureQueues = 1u << 12,
                   kFeatureDiscard = 1u << 13, kFeatureWriteZeroes = 1u << 14;

enum Request : uint32_t { kIn = 0, kOut = 1, kFlush = 4, kGetId = 8, kDiscard = 11, kWriteZeroes = 13 };

constexpr size_t kIdBytes = 20;
constexpr uint32_t kSegments = kQueueSize - 2;
constexpr uint32_t kMaxClearSectors = 1u << 21;  // 1 GiB at a time
constexpr uint32_t kMaxClearRanges = 16;
constexpr uint32_t kUnmap = 1;

/// A range of discard and write zeroes (5.2.6).
struct ClearRange {
  uint64_t sector;
  uint32_t sectors;
  uint32_t flags;
};

struct [[gnu::packed]] Config {
  uint64_t capacity;
  uint32_t size_max = 0;
  uint32_t seg_max = kSegments;
  uint32_t geometry = 0;
  uint32_t block_size = kSector;
  uint64_t topology = 0;
  uint8_t write_back;
  uint8_t unused = 0;
  uint16_t queues;
  uint32_t max_discard_sectors = kMaxClearSectors;
  uint32_t max_discard_ranges = kMaxClearRanges;
  uint32_t discard_alignment = 8;
  uint32_t max_zero_sectors = kMaxClearSectors;
  uint32_t max_zero_ranges = kMaxClearRanges;
  uint8_t zeroes_may_unmap = 1;
  std::array<uint8_t, 3> padding{};
};
static_assert(sizeof(Config) == 60);
constexpr uint64_t kWriteBackAt = 32;
static_assert(offsetof(Config, write_back) == kWriteBackAt);

Device::Shape shape_of(std::string name, const storage::Medium& medium, unsigned queues) {
  uint64_t features = kFeatureSegments | kFeatureBlockSize | kFeatureFlush;
  features |=
      medium.read_only() ? kFeatureReadOnly : kFeatureDiscard | kFeatureWriteZeroes | kFeatureConfigCache;
  if (queues > 1) features |= kFeatureQueues;
  return {.name = std::move(name),
          .type = kType,
          .features = features,
          .queue_sizes = std::vector<uint16_t>(queues, kQueueSize),
          .class_code = 0x010000};
}

}  // namespace

Block::Block(std::string name, storage::Medium& medium, std::string serial, unsigned queues)
    : RequestDevice(shape_of(std::move(name), medium, queues), queues, kThreads),
      medium_(medium),
      serial_(std::move(serial)),
      queue_count_(queues) {}

/// A driver that knows no FLUSH believes that there is no cache (5.2.6.2).
void Block::choose_cache() {
  through_ = !medium_.read_only() &&
             (!negotiated(kFeatureFlush) || (negotiated(kFeatureConfigCache) && !write_back_));
}

void Block::driver_ready() {
  choose_cache();
  RequestDevice::driver_ready();
}

void Block::reset_device() {
  write_back_ = true;
  through_ = false;
}

void Block::config_byte_written(uint64_t offset, uint8_t value) {
  if (offset != kWriteBackAt || !negotiated(kFeatureConfigCache)) return;
  write_back_ = (value & 1) != 0;
  choose_cache();
}

Block::Status Block::finish_write(IoStatus done) {
  if (done == IoStatus::kDone && through_) done = medium_.flush();
  return done == IoStatus::kDone ? Status::kOk : Status::kIoError;
}

std::vector<uint8_t> Block::config() {
  const Config config = {.capacity = medium_.size() / kSector,
                         .write_back = write_back_,
                         .queues = static_cast<uint16_t>(queue_count_)};
  std::vector<uint8_t> bytes(sizeof config);
  std::memcpy(bytes.data(), &config, sizeof config);
  return bytes;
}

uint32_t Block::execute(unsigned /*queue*/, const Chain& chain) {
  Header header;
  if (chain.writable_bytes() == 0 || !chain.read(dma(), 0, &header, sizeof header)) {
    const Lock held = lock();
    need_reset();  // without a status byte there is no way to say what was wrong
    return 0;
  }
  const Outcome outcome = carry_out(header, chain);
  const auto status = static_cast<uint8_t>(outcome.status);
  if (!chain.write(dma(), chain.writable_bytes() - 1, &status, 1)) return 0;
  return outcome.written + 1;
}

Block::Outcome Block::carry_out(const Header& header, const Chain& chain) {
  switch (header.type) {
    case kIn:
      return read(header.sector, chain);
    case kOut:
      return write(header.sector, chain);
    case kFlush:
      return {medium_.flush() == IoStatus::kDone ? Status::kOk : Status::kIoError};
    case kGetId:
      return identify(chain);
    case kDiscard:
      return clear(chain, true);
    case kWriteZeroes:
      return clear(chain, false);
    default:
      return {Status::kUnsupported};
  }
}

std::optional<uint64_t> Block::place(uint64_t sector, uint64_t bytes) const {
  const uint64_t sectors = medium_.size() / kSector;
  if (bytes % kSector != 0 || sector > sectors || bytes / kSector > sectors - sector) return std::nullopt;
  return sector * kSector;
}

std::optional<Block::Transfer> Block::find_read(uint64_t sector, const Chain& chain) {
  const uint64_t length = chain.writable_bytes() - 1;
  const std::optional<uint64_t> offset = place(sector, length);
  if (!offset) return std::nullopt;
  Transfer transfer{*offset, length, slice(chain.writable(), 0, length), {}};
  for (const Segment& segment : transfer.segments) {
    const std::span<uint8_t> bytes = dma().writable(segment.address, segment.length);
    if (bytes.size() != segment.length) return std::nullopt;
    transfer.parts.push_back({bytes.data(), bytes.size()});
  }
  return transfer;
}

std::optional<Block::Transfer> Block::find_write(uint64_t sector, const Chain& chain) {
  const uint64_t length = chain.readable_bytes() - sizeof(Header);
  const std::optional<uint64_t> offset = place(sector, length);
  if (!offset || medium_.read_only()) return std::nullopt;
  Transfer transfer{*offset, length, {}, {}};
  for (const Segment& segment : slice(chain.readable(), sizeof(Header), length)) {
    const std::span<const uint8_t> bytes = dma().readable(segment.address, segment.length);
    if (bytes.size() != segment.length) return std::nullopt;
    transfer.parts.push_back({const_cast<uint8_t*>(bytes.data()), bytes.size()});  // pwritev only reads
  }
  return transfer;
}

void Block::note_written(const Transfer& transfer) {
  for (const Segment& segment : transfer.segments) dma().written(segment.address, segment.length);
}

Block::Outcome Block::read(uint64_t sector, const Chain& chain) {
  const auto transfer = find_read(sector, chain);
  if (!transfer) return {Status::kIoError};
  const IoStatus done = medium_.read(transfer->offset, transfer->parts);
  note_written(*transfer);
  if (done != IoStatus::kDone) return {Status::kIoError};
  return {Status::kOk, static_cast<uint32_t>(transfer->length)};
}

Block::Outcome Block::write(uint64_t sector, const Chain& chain) {
  const auto transfer = find_write(sector, chain);
  if (!transfer) return {Status::kIoError};
  return {finish_write(medium_.write(transfer->offset, transfer->parts))};
}

void Block::queue_notified(unsigned queue) {
  if (!finish_at_once(queue)) RequestDevice::queue_notified(queue);
}

/// A small read or write that is all right and needs no flush.
std::optional<uint32_t> Block::execute_at_once(const Chain& chain) {
  Header header;
  if (chain.writable_bytes() == 0 || !chain.read(dma(), 0, &header, sizeof header)) return std::nullopt;
  const bool in = header.type == kIn;
  if (!in && (header.type != kOut || through_)) return std::nullopt;
  if ((in ? chain.writable_bytes() : chain.readable_bytes()) > storage::kMostAtOnce) return std::nullopt;
  const auto transfer = in ? find_read(header.sector, chain) : find_write(header.sector, chain);
  if (!transfer) return std::nullopt;
  const bool done = in ? medium_.read_at_once(transfer->offset, transfer->parts)
                       : medium_.write_at_once(transfer->offset, transfer->parts);
  note_written(*transfer);
  const auto status = static_cast<uint8_t>(Status::kOk);
  if (!done || !chain.write(dma(), chain.writable_bytes() - 1, &status, 1)) return std::nullopt;
  return static_cast<uint32_t>(in ? transfer->length : 0) + 1;
}

Block::Outcome Block::clear(const Chain& chain, bool discard) {
  const uint64_t length = chain.readable_bytes() - sizeof(Header);
  if (medium_.read_only() || length == 0 || length % sizeof(ClearRange) != 0 ||
      length / sizeof(ClearRange) > kMaxClearRanges)
    return {Status::kIoError};
  for (uint64_t at = sizeof(Header); at < sizeof(Header) + length; at += sizeof(ClearRange)) {
    ClearRange range;
    if (!chain.read(dma(), at, &range, sizeof range)) return {Status::kIoError};
    if ((range.flags & ~kUnmap) != 0 || (discard && range.flags != 0)) return {Status::kUnsupported};
    const uint64_t bytes = range.sectors * kSector;
    const std::optional<uint64_t> offset = place(range.sector, bytes);
    if (!offset || range.sectors > kMaxClearSectors) return {Status::kIoError};
    if (bytes == 0) continue;
    const IoStatus done = discard ? medium_.discard(*offset, bytes)
                                  : medium_.write_zeroes(*offset, bytes, (range.flags & kUnmap) != 0);
    if (done != IoStatus::kDone) return {Status::kIoError};
  }
  return {discard ? Status::kOk : finish_write(IoStatus::kDone)};
}

Block::Outcome Block::identify(const Chain& chain) {
  std::array<char, kIdBytes> id{};
  std::copy_n(serial_.begin(), std::min(serial_.size(), kIdBytes), id.begin());
  const uint64_t length = std::min<uint64_t>(kIdBytes, chain.writable_bytes() - 1);
  if (!chain.write(dma(), 0, id.data(), length)) return {Status::kIoError};
  return {Status::kOk, static_cast<uint32_t>(length)};
}

}  // namespace eidolon::device::virtio
