// The debug console of QEMU and Bochs at port 0x402: firmware that finds it there writes its log to it.
#pragma once

#include <functional>
#include <mutex>

#include "memory/io_handler.h"

namespace eidolon::device {

/// No state.
class DebugConsole final : public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0x402;

  /// `sink` gets each character, on the thread of the processor that writes it, one call at a time.
  explicit DebugConsole(std::function<void(uint8_t)> sink) : sink_(std::move(sink)) {}
  [[nodiscard]] uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return kHere; }
  void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) override {
    std::lock_guard lock(mutex_);
    sink_(static_cast<uint8_t>(value));
  }

 private:
  static constexpr uint64_t kHere = 0xe9;
  std::mutex mutex_;  ///< held while the sink is called
  const std::function<void(uint8_t)> sink_;
};

}  // namespace eidolon::device
