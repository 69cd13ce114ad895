#include "engine/step/code_memory.h"

#include <cpuid.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/assert.h"
#include "base/bits.h"

namespace eidolon::engine::step {

CodeMemory::CodeMemory(uint64_t size) : size_(align_up(size, 4096)) {
  const int fd = memfd_create("eidolon-step-code", MFD_CLOEXEC);
  EIDOLON_ASSERT(fd >= 0 && ftruncate(fd, static_cast<off_t>(size_)) == 0);
  void* writable = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  void* executable = mmap(nullptr, size_, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  EIDOLON_ASSERT(writable != MAP_FAILED && executable != MAP_FAILED);
  close(fd);
  writable_ = static_cast<uint8_t*>(writable);
  executable_ = static_cast<const uint8_t*>(executable);
}

CodeMemory::~CodeMemory() {
  munmap(writable_, size_);
  munmap(const_cast<uint8_t*>(executable_), size_);
}

const uint8_t* CodeMemory::add(std::span<const uint8_t> code) {
  if (code.size() > size_ - used_) return nullptr;
  std::memcpy(writable_ + used_, code.data(), code.size());
  const uint8_t* start = executable_ + used_;
  used_ = align_up(used_ + code.size(), 16);
  if (used_ > size_) used_ = size_;
  return start;
}

void CodeMemory::clear() {
  used_ = 0;
  // The next code takes the place of old code, and was written through another linear address: that wants a
  // serializing instruction in between (SDM volume 3, 8.1.3).
  unsigned a, b, c, d;
  __cpuid(0, a, b, c, d);
}

}  // namespace eidolon::engine::step
