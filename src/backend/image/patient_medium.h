// A disk whose guest never hears that the host's disk is full: the request waits until there is room, and is
// tried again and again. The machine goes on meanwhile, as far as the guest does not need the answer.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "device/storage/medium.h"

namespace eidolon::backend::image {

class PatientMedium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  using Say = std::function<void(const std::string&)>;
  PatientMedium(std::unique_ptr<Medium> medium, std::string name, Say say)
      : medium_(std::move(medium)), name_(std::move(name)), say_(std::move(say)) {}

  [[nodiscard]] uint64_t size() const override { return medium_->size(); }
  [[nodiscard]] bool read_only() const override { return medium_->read_only(); }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    return medium_->read(offset, into);
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    return patiently([&] { return medium_->write(offset, from); });
  }
  [[nodiscard]] bool read_at_once(uint64_t offset, std::span<const iovec> into) override {
    return medium_->read_at_once(offset, into);
  }
  [[nodiscard]] bool write_at_once(uint64_t offset, std::span<const iovec> from) override {
    return medium_->write_at_once(offset, from);
  }
  [[nodiscard]] IoStatus flush() override {
    return patiently([&] { return medium_->flush(); });
  }
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override {
    return patiently([&] { return medium_->discard(offset, length); });
  }
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
    return patiently([&] { return medium_->write_zeroes(offset, length, may_unmap); });
  }
  [[nodiscard]] const Medium& inner() const { return *medium_; }
  [[nodiscard]] IoStatus let_go() override { return medium_->let_go(); }
  [[nodiscard]] bool take_back() override { return medium_->take_back(); }
  void stop_waiting() override;
  void retry_now() override;

 private:
  template <typename Request>
  IoStatus patiently(Request request) {
    IoStatus status = request();
    while (status == IoStatus::kNoSpace && wait()) status = request();
    if (status != IoStatus::kNoSpace) note_room();
    return status;
  }
  /// False when there is no point in waiting any more.
  bool wait();
  void note_room();

  const std::unique_ptr<Medium> medium_;
  const std::string name_;
  const Say say_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool full_ = false;     ///< and the user has been told
  uint64_t retries_ = 0;  ///< how often retry_now() was called
  unsigned waiting_ = 0;  ///< requests
};

}  // namespace eidolon::backend::image
