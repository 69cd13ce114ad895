// A medium in memory whose failures and delays a test decides.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "device/storage/medium.h"

namespace eidolon::device::storage {

class MemoryMedium final : public Medium {
 public:
  explicit MemoryMedium(uint64_t size) : bytes(size) {}
  [[nodiscard]] uint64_t size() const override { return bytes.size(); }
  [[nodiscard]] bool read_only() const override { return is_read_only; }
  IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    wait();
    for (const iovec& part : into) {
      std::memcpy(part.iov_base, &bytes.at(offset), part.iov_len);
      offset += part.iov_len;
    }
    return result;
  }
  IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    wait();
    for (const iovec& part : from) {
      std::memcpy(&bytes.at(offset), part.iov_base, part.iov_len);
      offset += part.iov_len;
    }
    return result;
  }
  bool read_at_once(uint64_t offset, std::span<const iovec> into) override {
    return may_be_at_once() && read(offset, into) == IoStatus::kDone;
  }
  bool write_at_once(uint64_t offset, std::span<const iovec> from) override {
    return may_be_at_once() && write(offset, from) == IoStatus::kDone;
  }
  IoStatus flush() override {
    ++flushes;
    return result;
  }
  IoStatus discard(uint64_t offset, uint64_t length) override {
    discarded = {offset, length};
    return result;
  }
  IoStatus write_zeroes(uint64_t offset, uint64_t length, bool /*may_unmap*/) override {
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(offset), length, uint8_t{0});
    return result;
  }

  std::vector<uint8_t> bytes;
  bool is_read_only = false;
  bool at_once = false;              ///< nothing has to wait
  std::atomic<unsigned> asked{0};    ///< how often that was asked for
  std::atomic<bool> hold{false};     ///< requests wait as long as it is set
  std::atomic<unsigned> waiting{0};  ///< requests that wait
  std::atomic<IoStatus> result{IoStatus::kDone};
  std::atomic<unsigned> flushes{0};
  std::pair<uint64_t, uint64_t> discarded;

 private:
  bool may_be_at_once() {
    ++asked;
    return at_once;
  }
  void wait() {
    ++waiting;
    while (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --waiting;
  }
};

/// Devices have threads. False after ten seconds.
inline bool wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace eidolon::device::storage
