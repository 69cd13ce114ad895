// A raw disk that nobody has said to be raw. A guest could write another format's first bytes into its first
// sector; opened again without a format it would be taken for an image that names any file of the host as its
// backing file. Such a write fails, as with QEMU.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "device/storage/medium.h"

namespace eidolon::backend::image {

class ProbedRawMedium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  using Say = std::function<void(const std::string&)>;
  ProbedRawMedium(std::unique_ptr<Medium> raw, std::string name, Say say)
      : raw_(std::move(raw)), name_(std::move(name)), say_(std::move(say)) {}

  [[nodiscard]] uint64_t size() const override { return raw_->size(); }
  [[nodiscard]] bool read_only() const override { return raw_->read_only(); }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    return raw_->read(offset, into);
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] bool read_at_once(uint64_t offset, std::span<const iovec> into) override {
    return raw_->read_at_once(offset, into);
  }
  [[nodiscard]] bool write_at_once(uint64_t offset, std::span<const iovec> from) override {
    return offset != 0 && raw_->write_at_once(offset, from);
  }
  [[nodiscard]] IoStatus flush() override { return raw_->flush(); }
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override {
    return raw_->discard(offset, length);
  }
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
    return raw_->write_zeroes(offset, length, may_unmap);
  }
  [[nodiscard]] IoStatus let_go() override { return raw_->let_go(); }
  [[nodiscard]] bool take_back() override { return raw_->take_back(); }

 private:
  const std::unique_ptr<Medium> raw_;
  const std::string name_;
  const Say say_;
  std::atomic<bool> said_{false};
};

}  // namespace eidolon::backend::image
