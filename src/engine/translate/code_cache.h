// The code cache: the same memory mapped twice, writable and executable, never both. Code is emitted front to
// back; when it is full, everything is dropped at once and the next block starts afresh.
//
// Positions are offsets from the start. Jumps within the cache are relative, so they are the same in both
// mappings.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/result.h"
#include "engine/translate/large_pages.h"

namespace eidolon::engine::translate {

class CodeCache {
 public:
  enum class Backing : uint8_t {
    kFile,  ///< a memfd: what security policies allow most often
    /// Memory without a file. Linux perf asks a map (perf_map.h) for names of such code only.
    kAnonymous,
  };
  static Result<std::unique_ptr<CodeCache>> create(size_t size, Backing backing = Backing::kFile);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  [[nodiscard]] uint8_t* writable() const { return writable_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] uint64_t executable(uint32_t offset) const {
    return reinterpret_cast<uint64_t>(executable_) + offset;
  }
  [[nodiscard]] bool contains(uint64_t host_pc) const {
    return host_pc - reinterpret_cast<uint64_t>(executable_) < size_;
  }
  [[nodiscard]] uint32_t offset_of(uint64_t host_pc) const {
    return static_cast<uint32_t>(host_pc - reinterpret_cast<uint64_t>(executable_));
  }
  /// Lets the rel32 at `at` point to `target`.
  void patch_jump(uint32_t at, uint32_t target) {
    const auto displacement = static_cast<int32_t>(target - (at + 4));
    std::memcpy(writable_ + at, &displacement, sizeof displacement);
  }
  /// Puts a jump to `target` at `at`, over what is there.
  void place_jump(uint32_t at, uint32_t target) {
    writable_[at] = 0xe9;
    patch_jump(at + 1, target);
  }
  /// The host supplies memory for what lies at [offset, offset + size) now, at once, instead of page by page.
  /// A hint.
  void supply(uint32_t offset, uint32_t size) const;
  /// Everything below `offset` is full of code that will run.
  void filled_up_to(uint32_t offset) { large_.filled(writable_, offset); }

 private:
  CodeCache() = default;
  FileDescriptor memfd_;
  uint8_t* writable_ = nullptr;
  uint8_t* executable_ = nullptr;
  size_t size_ = 0;
  LargePages large_;
};

}  // namespace eidolon::engine::translate
