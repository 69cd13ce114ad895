// Memory for generated code: one memfd mapped twice, writable and executable, never both in one mapping.
// Filled from below; emptied all at once.
#pragma once

#include <cstdint>
#include <span>

namespace eidolon::engine::step {

class CodeMemory {
 public:
  explicit CodeMemory(uint64_t size);
  ~CodeMemory();
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  /// Copies `code` in and returns where it can be executed; null if it is full.
  [[nodiscard]] const uint8_t* add(std::span<const uint8_t> code);
  void clear();

  [[nodiscard]] const uint8_t* begin() const { return executable_; }
  [[nodiscard]] const uint8_t* end() const { return executable_ + size_; }

 private:
  uint64_t size_;
  uint64_t used_ = 0;
  uint8_t* writable_ = nullptr;
  const uint8_t* executable_ = nullptr;
};

}  // namespace eidolon::engine::step
