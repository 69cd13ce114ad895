// A parallel NOR flash chip of eight bits with Intel's command set (CFI, JEP137; Intel 28F640 datasheet), the
// chip that OVMF keeps UEFI's variables in.
//
// In its usual mode it reads as memory. A write is a command; erasing sets a block to ones and programming
// clears bits, one byte at a time or up to 32 that were put into a buffer before. What was programmed is on
// the medium before the guest can see that it is done.
//
// Clearing the status clears "ready" too, until the next command that works on the contents. Intel's chips
// keep that bit; OVMF, which has only met QEMU's chip, takes one that does so for no flash at all.
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "device/storage/medium.h"

namespace eidolon::device {

class CfiFlash final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kBlock = 4096;
  static constexpr uint64_t kMostBytes = uint64_t{16} << 20;
  static constexpr uint64_t kBufferBytes = 32;

  /// Reads the contents. `medium` outlives the chip.
  static Result<std::unique_ptr<CfiFlash>> create(storage::Medium& medium);

  [[nodiscard]] uint64_t size() const { return contents_.size(); }

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "cfi-flash"; }
  void reset() override;
  /// The contents are the medium's.
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  static constexpr uint8_t kReady = 0x80;

  /// Saved as numbers. The last three are the steps of programming from the buffer: what is awaited.
  enum class Mode : uint8_t {
    kArray,
    kStatus,
    kIdentity,
    kQuery,
    kProgram,
    kErase,
    kLock,
    kBufferCount,
    kBufferData,
    kBufferConfirm,
    kLast = kBufferConfirm
  };

  /// Bytes on their way into one block.
  struct Buffer {
    [[nodiscard]] bool fits_block() const { return start % kBlock + count <= kBlock; }
    uint64_t start = 0;                         ///< where the first of them goes
    uint8_t count = 0, taken = 0;               ///< how many there will be, and have come
    std::array<uint8_t, kBufferBytes> bytes{};  ///< [0, count); ones change nothing
  };

  template <typename Self, typename Stream>
  static void buffer_fields(Self& buffer, Stream& stream) {
    stream(buffer.start, buffer.count, buffer.taken, buffer.bytes);
  }

  explicit CfiFlash(storage::Medium& medium) : medium_(medium), contents_(medium.size()) {}
  [[nodiscard]] uint8_t read_byte(uint64_t offset) const;
  void command(uint8_t value);
  void write(uint64_t offset, uint8_t value);
  void expect_bytes(uint8_t last);
  void take_byte(uint64_t offset, uint8_t value);
  void program(uint64_t offset, std::span<const uint8_t> bytes);
  void erase(uint64_t offset);
  [[nodiscard]] bool possible(Mode mode, const Buffer& buffer) const;
  /// Shows the status: ready, and `errors`.
  void finish(uint8_t errors = 0);
  /// False if the host could not write [offset, offset + length).
  [[nodiscard]] bool store(uint64_t offset, uint64_t length);

  mutable std::mutex mutex_;
  storage::Medium& medium_;
  std::vector<uint8_t> contents_;
  Mode mode_ = Mode::kArray;
  uint8_t status_ = kReady;
  Buffer buffer_;
};

}  // namespace eidolon::device
