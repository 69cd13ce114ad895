#include "engine/translate/code_cache.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace eidolon::engine::translate {

namespace {

/// Addresses that nothing else has, aligned for large pages. What is not needed is given back.
uint8_t* reserve(size_t size) {
  constexpr size_t kSlack = LargePages::kSize;
  void* got = mmap(nullptr, size + kSlack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  auto* begin = static_cast<uint8_t*>(got);
  const size_t before = -reinterpret_cast<uintptr_t>(begin) % kSlack;
  if (before != 0) munmap(begin, before);
  munmap(begin + before + size, kSlack - before);
  return begin + before;
}

/// A second mapping of the same pages, to execute (mremap(2), an old size of 0).
bool show_executable(uint8_t* writable, uint8_t* executable, size_t size) {
  return mremap(writable, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, executable) != MAP_FAILED &&
         mprotect(executable, size, PROT_READ | PROT_EXEC) == 0;
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(size_t size, Backing backing) {
  std::unique_ptr<CodeCache> cache(new CodeCache);
  cache->size_ = size;
  const bool file = backing == Backing::kFile;
  if (file) cache->memfd_ = FileDescriptor(memfd_create("eidolon-code", MFD_CLOEXEC));
  if (file && (!cache->memfd_.valid() || ftruncate(cache->memfd_.get(), static_cast<off_t>(size)) != 0))
    return fail("cannot make a code cache of {} MiB: {}", size >> 20, std::strerror(errno));
  cache->writable_ = reserve(size);
  cache->executable_ = reserve(size);
  const int flags = MAP_SHARED | MAP_FIXED | (file ? 0 : MAP_ANONYMOUS), fd = cache->memfd_.get();
  const auto show = [&](uint8_t* at, int protection) {
    return mmap(at, size, protection, flags, fd, 0) != MAP_FAILED;
  };
  if (cache->writable_ == nullptr || cache->executable_ == nullptr ||
      !show(cache->writable_, PROT_READ | PROT_WRITE) ||
      !(file ? show(cache->executable_, PROT_READ | PROT_EXEC)
             : show_executable(cache->writable_, cache->executable_, size)))
    return fail("cannot map executable memory ({}); a security policy may forbid it: run with --engine step",
                std::strerror(errno));
  return cache;
}

CodeCache::~CodeCache() {
  large_.stop();
  if (writable_ != nullptr) munmap(writable_, size_);
  if (executable_ != nullptr) munmap(executable_, size_);
}

void CodeCache::supply(uint32_t offset, uint32_t size) const {
#ifdef MADV_POPULATE_WRITE  // Linux 5.14
  (void)madvise(writable_ + offset, size, MADV_POPULATE_WRITE);
  (void)madvise(executable_ + offset, size, MADV_POPULATE_READ);
#endif
}

}  // namespace eidolon::engine::translate
