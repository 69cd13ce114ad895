// A file or a block device of the host that holds an image.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>

#include "backend/image/file.h"
#include "backend/image/file_lock.h"
#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend::image {

class HostFile final : public File {
 public:
  /// Locked as long as it is open (file_lock.h).
  static Result<std::unique_ptr<HostFile>> open(const std::string& path, Access access);
  /// A new file of `size` zero bytes, or an existing one emptied, once nobody else has it open.
  static Result<std::unique_ptr<HostFile>> create(const std::string& path, uint64_t size);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_block_device() const { return is_block_device_; }
  /// The same for two names of one file.
  struct Identity {
    dev_t device;
    ino_t number;
    bool operator==(const Identity&) const = default;
  };
  [[nodiscard]] const Identity& identity() const { return identity_; }
  /// For whoever maps it. Stays ours.
  [[nodiscard]] int descriptor() const { return file_.get(); }
  /// How much of the host's disk it takes.
  [[nodiscard]] uint64_t allocated() const;

  [[nodiscard]] uint64_t size() const override { return size_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] bool read_at_once(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] bool write_at_once(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] IoStatus flush() override;
  [[nodiscard]] IoStatus grow(uint64_t size) override;
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
  void let_go() override;
  [[nodiscard]] bool take_back() override;

 private:
  HostFile(FileDescriptor file, std::string path, bool read_only)
      : file_(std::move(file)), path_(std::move(path)), read_only_(read_only) {}
  Result<> look();
  void at_least(uint64_t size);

  const FileDescriptor file_;
  const std::string path_;
  const bool read_only_;
  bool is_block_device_ = false;
  bool is_in_memory_ = false;  ///< on a file system that has no disk
  Identity identity_{};
  std::atomic<uint64_t> size_{0};
  std::atomic<bool> writes_may_be_at_once_{true};  ///< until the host has said otherwise
};

}  // namespace eidolon::backend::image
