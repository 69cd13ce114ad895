// A disk in a file or on a block device of the host, byte for byte.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend {

class RawMedium final : public device::storage::Medium {
 public:
  /// Locked as long as it is open: against everybody else for writing, against writers for reading.
  static Result<std::unique_ptr<RawMedium>> open(const std::string& path, bool read_only);

  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] device::storage::IoStatus read(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] device::storage::IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] device::storage::IoStatus flush() override;
  [[nodiscard]] device::storage::IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] device::storage::IoStatus write_zeroes(uint64_t offset, uint64_t length,
                                                       bool may_unmap) override;

 private:
  RawMedium(FileDescriptor file, uint64_t size, bool read_only)
      : file_(std::move(file)), size_(size), read_only_(read_only) {}

  const FileDescriptor file_;
  const uint64_t size_;
  const bool read_only_;
};

}  // namespace eidolon::backend
