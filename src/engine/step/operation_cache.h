// Decoded instructions and their stubs, kept by their bytes; and, in front of that, by where the bytes lie.
//
// The front table answers for an instruction at a host address only if the bytes there still are those that
// were decoded, so code that is written over needs no notice.
#pragma once

#include <emmintrin.h>

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/step/code_memory.h"
#include "engine/step/operation.h"
#include "isa/decoder.h"

namespace eidolon::engine::step {

class OperationCache {
 public:
  explicit OperationCache(x86::Vendor vendor) : decoder_(vendor) {}

  /// The operation at `host`, of which `available` bytes may be looked at, or null if it has not been seen
  /// there. `window` holds the same bytes, zero-padded to 16.
  [[nodiscard]] const Operation* find(const uint8_t* host, const uint8_t* window, unsigned available,
                                      isa::CodeSize size) const {
    const Front& front = front_[slot(host)];
    if (front.tag != tag(host, size)) return nullptr;
    const Operation* operation = front.operation;
    // SAFETY: both are 16 bytes.
    const __m128i now = _mm_loadu_si128(reinterpret_cast<const __m128i*>(window));
    const __m128i then = _mm_loadu_si128(reinterpret_cast<const __m128i*>(operation->bytes.data()));
    const auto differ = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(now, then))) ^ 0xffffu;
    const unsigned ours = (1u << operation->length) - 1;
    return (differ & ours) == 0 && operation->length <= available ? operation : nullptr;
  }

  /// Decodes `bytes` and makes the operation, or finds it. `host` is where they lie, or null if they are not
  /// in one piece. Null with a status other than kOk.
  struct Found {
    const Operation* operation;
    isa::DecodeStatus status;
  };
  [[nodiscard]] Found decode(const uint8_t* host, std::span<const uint8_t> bytes, isa::CodeSize size);

  [[nodiscard]] const CodeMemory& code() const { return code_; }

 private:
  static constexpr unsigned kFrontSize = 1u << 15;
  static constexpr unsigned kMaxOperations = 24576;
  static constexpr uint64_t kCodeBytes = 4 << 20;

  struct Front {
    uint64_t tag = 0;
    const Operation* operation = nullptr;
  };

  static uint64_t tag(const uint8_t* host, isa::CodeSize size) {
    return reinterpret_cast<uintptr_t>(host) << 2 | static_cast<unsigned>(size);
  }
  static unsigned slot(const uint8_t* host) {
    const auto address = reinterpret_cast<uintptr_t>(host);
    return static_cast<unsigned>(address ^ address >> 15) & (kFrontSize - 1);
  }
  const Operation& insert(const isa::Instruction& instruction, std::string key,
                          std::span<const uint8_t> bytes);
  void prepare(Operation& operation);
  void clear();

  isa::Decoder decoder_;
  CodeMemory code_{kCodeBytes};
  std::vector<Front> front_{kFrontSize};
  std::unordered_map<std::string, Operation*> by_bytes_;  ///< code size, then the bytes
  std::deque<Operation> operations_;
};

}  // namespace eidolon::engine::step
