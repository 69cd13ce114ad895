// Memory of the monitor's that another process can be given: a file without a name, mapped.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::vhost {

class SharedMemory {
 public:
  static Result<SharedMemory> create(size_t bytes);
  SharedMemory(SharedMemory&& other) noexcept
      : file_(std::move(other.file_)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  [[nodiscard]] int file() const { return file_.get(); }
  [[nodiscard]] std::span<uint8_t> bytes() const { return bytes_; }

 private:
  SharedMemory(FileDescriptor file, std::span<uint8_t> bytes) : file_(std::move(file)), bytes_(bytes) {}

  FileDescriptor file_;
  std::span<uint8_t> bytes_;
};

}  // namespace eidolon::vhost
