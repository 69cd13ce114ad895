// Random bytes that are likely to be instructions: prefixes, an opcode map, and an encoding are chosen first.
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "isa/instruction.h"

namespace eidolon::isa {

class RandomCode {
 public:
  explicit RandomCode(uint64_t seed) : random_(seed) {}

  std::array<uint8_t, 15> next(CodeSize size) {
    bytes_ = {};
    length_ = 0;
    if (below(4) == 0) put(pick({0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67}));
    switch (below(8)) {
      case 0:
        put_vex2();
        break;
      case 1:
        put_three_byte_prefix(0xc4, pick({1, 2, 3}));
        break;
      case 2:
        put_three_byte_prefix(0x8f, pick({8, 9, 10}));
        break;
      case 3:
        put_evex();
        break;
      default:
        put_legacy(size);
        break;
    }
    while (length_ < bytes_.size()) put(random_());
    return bytes_;
  }

  uint64_t below(uint64_t limit) { return random_() % limit; }

 private:
  void put(uint64_t byte) {
    if (length_ < bytes_.size()) bytes_[length_++] = static_cast<uint8_t>(byte);
  }
  uint8_t pick(std::initializer_list<int> choices) {
    return static_cast<uint8_t>(*(choices.begin() + below(choices.size())));
  }
  uint64_t maybe(uint64_t bit) { return below(2) ? bit : 0; }
  /// R, X and B, all set half of the time, as code outside 64-bit mode has them.
  uint64_t register_bits() { return below(2) ? 0xe0 : random_() & 0xe0; }
  /// vvvv = 1111, as instructions without that operand need it, half of the time.
  uint64_t vvvv() { return below(2) ? 0x78 : random_() & 0x78; }

  void put_legacy(CodeSize size) {
    for (int i = 0; i < 2; ++i) {
      if (below(3) == 0) put(pick({0x66, 0xf2, 0xf3, 0x66, 0xf0, 0x67}));
    }
    if (size == CodeSize::k64 && below(2) == 0) put(0x40 | below(16));
    switch (below(6)) {
      case 0:
      case 1:
        break;
      case 2:
        put(0x0f);
        put(0x38);
        break;
      case 3:
        put(0x0f);
        put(0x3a);
        break;
      default:
        put(0x0f);
        break;
    }
  }
  void put_vex2() {
    put(0xc5);
    put((below(2) ? 0x80 : random_() & 0x80) | vvvv() | maybe(4) | below(4));
  }
  void put_three_byte_prefix(uint8_t first, uint8_t map) {
    put(first);
    put(register_bits() | map);
    put(maybe(0x80) | vvvv() | maybe(4) | below(4));
  }
  void put_evex() {
    put(0x62);
    put(register_bits() | (below(2) ? 0x10 : random_() & 0x10) | pick({1, 1, 2, 2, 3, 5, 6}));
    put(maybe(0x80) | vvvv() | 4 | below(4));
    put(maybe(0x80) | (below(3) << 5) | maybe(0x10) | (below(4) ? 8 : 0) | (below(2) ? below(8) : 0));
  }

  std::mt19937_64 random_;
  std::array<uint8_t, 15> bytes_{};
  size_t length_ = 0;
};

}  // namespace eidolon::isa
