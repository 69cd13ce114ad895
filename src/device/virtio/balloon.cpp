#include "device/virtio/balloon.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "memory/discard.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 5, kQueueSize = 128;

// Not offered: VIRTIO_BALLOON_F_PAGE_POISON, for fresh pages need not be zero (memory/discard.h). A driver
// whose free pages have to keep a content does not report them then (5.5.6.5).
constexpr uint64_t kFeatureStatistics = 1u << 1, kFeatureDeflateOnOom = 1u << 2, kFeatureReporting = 1u << 5;

// The specification gives each queue a number of its own (5.5.2); many drivers count only those that are in
// use. There are no free page hints here, so whatever number a driver takes for reporting means nothing else.
constexpr unsigned kInflate = 0, kDeflate = 1, kStatisticsQueue = 2, kQueues = 5;

/// A buffer of page numbers is read to this length: a GiB of pages.
constexpr uint64_t kMostNumbers = 256 * 1024;

// The device configuration (5.5.4): pages asked for, pages given, both 32 bits.
constexpr uint64_t kActualAt = 4, kConfigBytes = 8;

/// A statistic is a tag of 16 and a value of 64 bits.
constexpr uint64_t kStatisticBytes = 10;
/// More than there are tags; what follows is not looked at.
constexpr uint64_t kMostStatistics = 64;

}  // namespace

Balloon::Balloon(std::string name)
    : RequestDevice({.name = std::move(name),
                     .type = kType,
                     .features = kFeatureStatistics | kFeatureDeflateOnOom | kFeatureReporting,
                     .queue_sizes = std::vector<uint16_t>(kQueues, kQueueSize)},
                    kQueues, 1) {}

bool Balloon::tells_statistics(unsigned queue) const {
  return queue == kStatisticsQueue && negotiated(kFeatureStatistics);
}

void Balloon::set_target(uint64_t bytes) {
  const Lock held = lock();
  target_ = static_cast<uint32_t>(std::min<uint64_t>(bytes / kPageBytes, ~uint32_t{0}));
  if (running()) signal_config();
}

Balloon::Report Balloon::report(std::chrono::milliseconds patience) {
  Lock held = lock();
  Report report{
      .target = target_ * kPageBytes, .given = actual_ * kPageBytes, .driver = running(), .statistics = {}};
  const uint64_t before = told_;
  if (asking_) {
    give_back(kStatisticsQueue, *asking_, 0);
    asking_.reset();
    signal(kStatisticsQueue);
  }
  if (!running() || !negotiated(kFeatureStatistics)) return report;
  // If others ask at the same time, one answer is for all of them.
  if (!statistics_came_.wait_for(held, patience, [&] { return told_ != before; })) return report;
  report.given = actual_ * kPageBytes;
  report.statistics = statistics_;
  return report;
}

void Balloon::queue_notified(unsigned queue) {
  if (tells_statistics(queue)) {
    take_statistics();
  } else {
    RequestDevice::queue_notified(queue);
  }
}

void Balloon::driver_ready() {
  RequestDevice::driver_ready();
  if (negotiated(kFeatureStatistics)) take_statistics();
}

/// The driver has one buffer, which it fills and hands over: the first time by itself, and then whenever it
/// gets it back (5.5.6.3). Of a second one, nothing is kept.
void Balloon::take_statistics() {
  for (Chain chain;
       take(kStatisticsQueue, chain) || (rearm(kStatisticsQueue) && take(kStatisticsQueue, chain));) {
    if (asking_) give_back(kStatisticsQueue, *asking_, 0);
    asking_ = chain;
    statistics_ = {};
    std::array<uint8_t, kStatisticBytes * kMostStatistics> bytes;
    const uint64_t count = std::min(chain.readable_bytes() / kStatisticBytes, kMostStatistics);
    if (!chain.read(dma(), 0, bytes.data(), count * kStatisticBytes)) continue;
    for (uint64_t i = 0; i < count; ++i) {
      uint16_t tag = 0;
      uint64_t value = 0;
      std::memcpy(&tag, &bytes[i * kStatisticBytes], sizeof tag);
      std::memcpy(&value, &bytes[i * kStatisticBytes + sizeof tag], sizeof value);
      // What it does not know, Linux tells as all ones.
      if (tag < kStatistics && value != ~uint64_t{0}) statistics_[tag] = value;
    }
    ++told_;
    statistics_came_.notify_all();
  }
}

uint32_t Balloon::execute(unsigned queue, const Chain& chain) {
  if (queue == kInflate) {
    inflate(chain);
  } else if (queue != kDeflate) {
    for (const Segment& unused : chain.writable()) release_pages(unused.address, unused.length);
  }
  return 0;
}

/// Neighbours are released together: a driver gives pages in the order in which it finds them.
void Balloon::inflate(const Chain& chain) {
  uint64_t first = 0, count = 0;  // a run of pages, by number
  const auto release_run = [&] { release_pages(first * kPageBytes, count * kPageBytes); };
  std::array<uint32_t, 1024> numbers;
  const uint64_t all = std::min(chain.readable_bytes() / sizeof(uint32_t), kMostNumbers);
  for (uint64_t done = 0; done < all; done += numbers.size()) {
    const auto part = std::span(numbers).first(std::min<uint64_t>(numbers.size(), all - done));
    if (!chain.read(dma(), done * sizeof(uint32_t), part.data(), part.size_bytes())) break;
    for (const uint64_t number : part) {
      if (count != 0 && number == first + count) {
        ++count;
      } else if (count != 0 && number + 1 == first) {
        --first;
        ++count;
      } else {
        release_run();
        first = number;
        count = 1;
      }
    }
  }
  release_run();
}

/// A range that is not RAM as a whole is looked at page by page.
void Balloon::release_pages(GuestPhysical address, uint64_t length) {
  if (dma().arriving()) return;  // they would have to come first, and the host gets the next ones
  const std::span<uint8_t> bytes = dma().writable(address, length);
  if (bytes.empty() && length > kPageBytes) {
    const GuestPhysical end = address + length;
    for (uint64_t part = 0; address < end; address += part) {
      part = std::min(kPageBytes - address % kPageBytes, end - address);
      release_pages(address, part);
    }
    return;
  }
  if (bytes.size() < kPageBytes) return;
  memory::discard(bytes);
  dma().written(address, length);
}

std::vector<uint8_t> Balloon::config() {
  std::vector<uint8_t> bytes(kConfigBytes);
  std::memcpy(bytes.data(), &target_, sizeof target_);
  std::memcpy(bytes.data() + kActualAt, &actual_, sizeof actual_);
  return bytes;
}

void Balloon::config_byte_written(uint64_t offset, uint8_t value) {
  if (offset < kActualAt || offset >= kActualAt + sizeof actual_) return;
  const auto shift = static_cast<unsigned>(8 * (offset - kActualAt));
  actual_ = (actual_ & ~(0xffu << shift)) | static_cast<uint32_t>(value) << shift;
}

/// What the host wants outlives a driver.
void Balloon::reset_device() {
  actual_ = 0;
  asking_.reset();
  statistics_ = {};
}

void Balloon::save_device(StateWriter& to) const {
  to(target_, actual_, asking_.has_value());
  if (asking_) asking_->save(to);
}

void Balloon::load_device(StateReader& from) {
  bool asking = false;
  from(target_, actual_, asking);
  if (asking) asking_.emplace().load(from);
}

}  // namespace eidolon::device::virtio
