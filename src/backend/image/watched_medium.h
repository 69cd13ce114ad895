// A medium of which it can be known what is written, for whoever copies it while it is used.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/storage/medium.h"

namespace eidolon::backend::image {

class WatchedMedium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  /// What is known goes by such parts; the last one may be shorter.
  static constexpr uint64_t kPart = 64 << 10;
  explicit WatchedMedium(std::unique_ptr<Medium> medium);

  /// From now on, with no part marked, or no more. What is read afterwards has all that is not going to be
  /// marked.
  void watch(bool on);
  [[nodiscard]] uint64_t parts() const { return (size() + kPart - 1) / kPart; }
  /// How many are marked.
  [[nodiscard]] uint64_t written() const;
  /// The parts that were written since they were asked for last, in order; they are marked no more. A request
  /// that is under way is marked when it has ended.
  [[nodiscard]] std::vector<uint64_t> take_written();

  [[nodiscard]] uint64_t size() const override { return medium_->size(); }
  [[nodiscard]] bool read_only() const override { return medium_->read_only(); }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    return medium_->read(offset, into);
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] bool read_at_once(uint64_t offset, std::span<const iovec> into) override {
    return medium_->read_at_once(offset, into);
  }
  [[nodiscard]] bool write_at_once(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] IoStatus flush() override { return medium_->flush(); }
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
  [[nodiscard]] IoStatus let_go() override { return medium_->let_go(); }
  [[nodiscard]] bool take_back() override { return medium_->take_back(); }
  void stop_waiting() override { medium_->stop_waiting(); }
  void retry_now() override { medium_->retry_now(); }

 private:
  template <typename Outcome>
  Outcome note(uint64_t offset, uint64_t length, Outcome outcome);
  const std::unique_ptr<Medium> medium_;
  std::vector<std::atomic<uint64_t>> words_;  ///< a bit for each part
  std::atomic<bool> watched_{false};
};

}  // namespace eidolon::backend::image
