// The elements of a string operation that lie in one page: on host addresses, without x87 or vector
// registers, and without calls of library routines that might use them.
#pragma once

#include <cstdint>

namespace eidolon::engine::translate {

/// What comparisons leave: flags as LAHF and SETO AL put them into AX.
inline constexpr uint64_t kSavedZf = 0x4000;

inline void copy_bytes(void* to, const void* from, uint64_t count) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

template <typename T>
class StringPieces {
  /// Guest memory: of any alignment, and nobody's object.
  struct [[gnu::packed, gnu::may_alias]] Element {
    T value;
  };

 public:
  // SAFETY: `to` and `from` are elements of guest memory (or of a buffer), and so are the `count` - 1 that
  // follow them upward (or downward): the caller has looked up their pages.

  static void move(uint8_t* to, const uint8_t* from, uint64_t count, bool down) {
    if (down) {
      auto* target = reinterpret_cast<volatile Element*>(to);
      const auto* source = reinterpret_cast<const volatile Element*>(from);
      for (; count != 0; --count, --target, --source) target->value = source->value;
      return;
    }
    if constexpr (sizeof(T) == 1)
      asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else if constexpr (sizeof(T) == 2)
      asm volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else if constexpr (sizeof(T) == 4)
      asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else
      asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  }

  static void store(uint8_t* to, uint64_t value, uint64_t count, bool down) {
    if (down) {
      auto* target = reinterpret_cast<volatile Element*>(to);
      for (; count != 0; --count, --target) target->value = static_cast<T>(value);
      return;
    }
    if constexpr (sizeof(T) == 1)
      asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    else if constexpr (sizeof(T) == 2)
      asm volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    else if constexpr (sizeof(T) == 4)
      asm volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    else
      asm volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
  }

  /// The register that the last of the elements is loaded into.
  static uint64_t load(uint64_t old, const uint8_t* from, uint64_t count, bool down) {
    const auto* source = reinterpret_cast<const volatile Element*>(from);
    const auto last = static_cast<int64_t>(count - 1);
    const T value = source[down ? -last : last].value;
    if constexpr (sizeof(T) >= 4)
      return value;
    else
      return (old & ~uint64_t{static_cast<T>(~T{0})}) | value;
  }

  /// Compares until the result is not `while_equal`, or `count` (not 0) is done: how many were compared, and
  /// the flags of the last. `left` is stepped only if `scan` is not set: SCAS compares one value with many.
  struct Compared {
    uint64_t count;
    uint64_t flags;
  };
  static Compared compare(const uint8_t* left, const uint8_t* right, uint64_t count, bool down, bool scan,
                          bool while_equal) {
    const auto* a = reinterpret_cast<const volatile Element*>(left);
    const auto* b = reinterpret_cast<const volatile Element*>(right);
    const int step = down ? -1 : 1;
    const int step_left = scan ? 0 : step;
    T x, y;
    uint64_t done = 0;
    do {
      x = a->value;
      y = b->value;
      a += step_left;
      b += step;
      ++done;
    } while ((x == y) == while_equal && done != count);
    return {done, flags_of(x, y)};
  }

 private:
  static uint64_t flags_of(T left, T right) {
    uint64_t flags;
    asm("cmp %2, %1\n\tlahf\n\tseto %%al\n\tmovzwl %%ax, %%eax"
        : "=&a"(flags)
        : "q"(left), "q"(right)
        : "cc");
    return flags;
  }
};

}  // namespace eidolon::engine::translate
