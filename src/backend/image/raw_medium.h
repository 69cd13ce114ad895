// A disk in a file or on a block device of the host, byte for byte.
#pragma once

#include <memory>
#include <string>

#include "backend/image/host_file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class RawMedium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  static Result<std::unique_ptr<RawMedium>> open(const std::string& path, bool read_only);
  static Result<std::unique_ptr<RawMedium>> open(std::unique_ptr<HostFile> file);

  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return file_->read_only(); }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    return file_->read(offset, into);
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    return file_->write(offset, from);
  }
  [[nodiscard]] bool read_at_once(uint64_t offset, std::span<const iovec> into) override {
    return file_->read_at_once(offset, into);
  }
  [[nodiscard]] bool write_at_once(uint64_t offset, std::span<const iovec> from) override {
    return file_->write_at_once(offset, from);
  }
  [[nodiscard]] IoStatus flush() override { return file_->flush(); }
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override {
    return file_->discard(offset, length);
  }
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
    return file_->write_zeroes(offset, length, may_unmap);
  }
  [[nodiscard]] IoStatus let_go() override {
    const IoStatus status = read_only() ? IoStatus::kDone : flush();
    if (status == IoStatus::kDone) file_->let_go();
    return status;
  }
  [[nodiscard]] bool take_back() override { return file_->take_back(); }

 private:
  explicit RawMedium(std::unique_ptr<File> file) : file_(std::move(file)), size_(file_->size()) {}

  const std::unique_ptr<File> file_;
  const uint64_t size_;
};

}  // namespace eidolon::backend::image
