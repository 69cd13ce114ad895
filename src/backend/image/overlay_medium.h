// A disk over another that stays as it is: what is written goes to a temporary file, which is gone when the
// machine is.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class OverlayMedium final : public device::storage::Medium {
 public:
  static Result<std::unique_ptr<device::storage::Medium>> create(
      std::unique_ptr<device::storage::Medium> base);

  [[nodiscard]] uint64_t size() const override { return base_->size(); }
  [[nodiscard]] bool read_only() const override { return false; }
  [[nodiscard]] device::storage::IoStatus read(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] device::storage::IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  /// Nothing of it outlives the machine, so there is nothing to keep safe.
  [[nodiscard]] device::storage::IoStatus flush() override { return device::storage::IoStatus::kDone; }
  [[nodiscard]] device::storage::IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] device::storage::IoStatus write_zeroes(uint64_t offset, uint64_t length,
                                                       bool may_unmap) override;

  struct Range {
    uint64_t offset, length;  ///< bytes
  };
  /// What was written, for who keeps it: it ends with the machine.
  [[nodiscard]] std::vector<Range> written() const;

 private:
  static constexpr uint64_t kSector = 512, kPieceSectors = 32768;
  OverlayMedium(std::unique_ptr<device::storage::Medium> base, FileDescriptor file);
  /// From `sector` on: how many, up to `most`, are all in the file or all in the base; and which.
  [[nodiscard]] uint64_t run_length(uint64_t sector, uint64_t most, bool& written) const;
  void mark(uint64_t offset, uint64_t length);

  const std::unique_ptr<device::storage::Medium> base_;
  const FileDescriptor file_;
  mutable std::mutex mutex_;
  /// Pieces of the disk that something was written to: which of their sectors.
  std::unordered_map<uint64_t, std::vector<bool>> written_;
};

}  // namespace eidolon::backend::image
