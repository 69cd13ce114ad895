// A file in memory whose host can die: after a number of writes nothing more reaches it, and what was not
// flushed may be lost, in pieces of a sector, as on a disk that loses power.
#pragma once

#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "backend/image/file.h"
#include "backend/image/parts.h"

namespace eidolon::backend::image {

/// The bytes, which outlive the files that are opened on them.
struct Disk {
  std::vector<uint8_t> now;      ///< what a program reads
  std::vector<uint8_t> durable;  ///< what was there at the last flush
  uint64_t writes_left = std::numeric_limits<uint64_t>::max();
  uint64_t writes = 0;
  device::storage::IoStatus failure = device::storage::IoStatus::kFailed;  ///< when there are no writes left
  std::mutex mutex;

  /// The power goes: of every sector that was written since the last flush, chance decides which state stays.
  void lose_power(std::mt19937_64& random) {
    constexpr size_t kSector = 512;
    if (random() % 2 == 0) durable.resize(std::max(durable.size(), now.size()), 0);
    now.resize(std::max(now.size(), durable.size()), 0);
    for (size_t at = 0; at < durable.size(); at += kSector) {
      const size_t length = std::min(kSector, durable.size() - at);
      if (random() % 2 == 0) std::memcpy(&durable[at], &now[at], length);
    }
    now = durable;
  }
};

class MemoryFile final : public File {
 public:
  explicit MemoryFile(Disk& disk, bool read_only = false) : disk_(disk), read_only_(read_only) {}
  [[nodiscard]] uint64_t size() const override {
    std::lock_guard lock(disk_.mutex);
    return disk_.now.size();
  }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    std::lock_guard lock(disk_.mutex);
    if (offset > disk_.now.size() || bytes_of(into) > disk_.now.size() - offset) return IoStatus::kFailed;
    scatter(std::span(disk_.now).subspan(offset), into);
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    std::lock_guard lock(disk_.mutex);
    if (!alive()) return disk_.failure;
    if (offset > kMost || bytes_of(from) > kMost - offset) return IoStatus::kFailed;
    if (offset + bytes_of(from) > disk_.now.size()) disk_.now.resize(offset + bytes_of(from), 0);
    for (const iovec& part : from) {
      std::memcpy(&disk_.now[offset], part.iov_base, part.iov_len);
      offset += part.iov_len;
    }
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus flush() override {
    std::lock_guard lock(disk_.mutex);
    if (!alive()) return disk_.failure;
    disk_.durable = disk_.now;
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus grow(uint64_t size) override {
    std::lock_guard lock(disk_.mutex);
    if (!alive()) return disk_.failure;
    if (size > kMost) return IoStatus::kFailed;
    if (size > disk_.now.size()) disk_.now.resize(size, 0);
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override {
    return write_zeroes(offset, length, true);  // the worst that a hint can do
  }
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool /*may_unmap*/) override {
    std::lock_guard lock(disk_.mutex);
    if (!alive()) return disk_.failure;
    if (offset > disk_.now.size() || length > disk_.now.size() - offset) return IoStatus::kFailed;
    std::memset(&disk_.now[offset], 0, length);
    return IoStatus::kDone;
  }

 private:
  static constexpr uint64_t kMost = 64u << 20;
  bool alive() {
    ++disk_.writes;
    if (disk_.writes_left == 0) return false;
    --disk_.writes_left;
    return true;
  }
  Disk& disk_;
  const bool read_only_;
};

}  // namespace eidolon::backend::image
