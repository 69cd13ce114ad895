// A parallel NOR flash chip of eight bits with Intel's command set (CFI, JEP137; Intel 28F640 datasheet), the
// chip that OVMF keeps UEFI's variables in.
//
// In its usual mode it reads as memory. A write is a command; erasing sets a block to ones and programming
// clears bits. What was programmed is on the medium before the guest can see that it is done.
#pragma once

#include <mutex>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "device/storage/medium.h"

namespace eidolon::device {

class CfiFlash final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kBlock = 4096;
  static constexpr uint64_t kMostBytes = uint64_t{16} << 20;

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
  enum class Mode : uint8_t { kArray, kStatus, kIdentity, kQuery, kProgram, kErase, kLock, kLast = kLock };

  explicit CfiFlash(storage::Medium& medium) : medium_(medium), contents_(medium.size()) {}
  [[nodiscard]] uint8_t read_byte(uint64_t offset) const;
  void command(uint8_t value);
  void write(uint64_t offset, uint8_t value);
  void program(uint64_t offset, uint8_t value);
  void erase(uint64_t offset);
  /// False if the host could not write [offset, offset + length).
  [[nodiscard]] bool store(uint64_t offset, uint64_t length);

  mutable std::mutex mutex_;
  storage::Medium& medium_;
  std::vector<uint8_t> contents_;
  Mode mode_ = Mode::kArray;
  uint8_t status_ = 0;  ///< errors, until they are cleared
};

}  // namespace eidolon::device
