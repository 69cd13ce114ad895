// A sequence that grows at its end and whose elements stay where they are. Its memory comes in chunks of many
// elements, and is kept when it is cleared. (A std::deque allocates every element of some hundred bytes by
// itself.)
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace eidolon {

template <typename T>
class Chunks {
  static_assert(std::is_trivially_destructible_v<T>, "nothing is destroyed");

 public:
  /// In a chunk; a power of two.
  static constexpr size_t kPerChunk = std::bit_floor(std::max<size_t>(1, (size_t{64} << 10) / sizeof(T)));

  template <typename... Arguments>
  T& emplace_back(Arguments&&... arguments) {
    if (size_ == chunks_.size() * kPerChunk) chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    T* element = std::construct_at(place(size_), std::forward<Arguments>(arguments)...);
    ++size_;
    return *element;
  }
  /// Not of an empty one.
  void pop_back() { --size_; }
  void clear() { size_ = 0; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] const T& operator[](size_t index) const { return *std::launder(place(index)); }

 private:
  struct Chunk {
    alignas(T) std::byte bytes[kPerChunk * sizeof(T)];
  };
  [[nodiscard]] T* place(size_t index) const {
    // SAFETY: in the bounds of its chunk, and aligned with it.
    return reinterpret_cast<T*>(chunks_[index / kPerChunk]->bytes) + index % kPerChunk;
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  size_t size_ = 0;
};

}  // namespace eidolon
