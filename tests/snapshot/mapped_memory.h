// Pages of ours, as a machine's memory is.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <span>

namespace eidolon::snapshot {

class MappedMemory {
 public:
  explicit MappedMemory(size_t length)
      : bytes_(static_cast<uint8_t*>(mmap(nullptr, length, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
               length) {}
  ~MappedMemory() { munmap(bytes_.data(), bytes_.size()); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  [[nodiscard]] std::span<uint8_t> bytes() { return bytes_; }

 private:
  std::span<uint8_t> bytes_;
};

}  // namespace eidolon::snapshot
