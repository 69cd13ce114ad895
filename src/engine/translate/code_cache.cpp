#include "engine/translate/code_cache.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace eidolon::engine::translate {

namespace {

/// A second mapping of the same pages, to execute (mremap(2), an old size of 0).
void* executable_view(void* writable, size_t size) {
  if (writable == MAP_FAILED) return MAP_FAILED;
  void* view = mremap(writable, 0, size, MREMAP_MAYMOVE);
  if (view == MAP_FAILED || mprotect(view, size, PROT_READ | PROT_EXEC) == 0) return view;
  const int why = errno;
  munmap(view, size);
  errno = why;
  return MAP_FAILED;
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(size_t size, Backing backing) {
  std::unique_ptr<CodeCache> cache(new CodeCache);
  cache->size_ = size;
  const bool file = backing == Backing::kFile;
  if (file) cache->memfd_ = FileDescriptor(memfd_create("eidolon-code", MFD_CLOEXEC));
  if (file && (!cache->memfd_.valid() || ftruncate(cache->memfd_.get(), static_cast<off_t>(size)) != 0))
    return fail("cannot make a code cache of {} MiB: {}", size >> 20, std::strerror(errno));
  void* writable = mmap(nullptr, size, PROT_READ | PROT_WRITE, file ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS,
                        cache->memfd_.get(), 0);
  void* executable = file ? mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_SHARED, cache->memfd_.get(), 0)
                          : executable_view(writable, size);
  if (writable != MAP_FAILED) cache->writable_ = static_cast<uint8_t*>(writable);
  if (executable != MAP_FAILED) cache->executable_ = static_cast<uint8_t*>(executable);
  if (writable == MAP_FAILED || executable == MAP_FAILED)
    return fail("cannot map executable memory ({}); a security policy may forbid it: run with --engine step",
                std::strerror(errno));
  return cache;
}

CodeCache::~CodeCache() {
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
