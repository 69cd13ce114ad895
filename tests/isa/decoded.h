// Test fixtures' shorthand: bytes to a decoded instruction.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "isa/decoder.h"

namespace eidolon::isa {

using Bytes = std::vector<uint8_t>;

/// Decodes `bytes`, which must be exactly one instruction.
inline Instruction decoded(CodeSize size, const Bytes& bytes) {
  static const Decoder decoder;
  Instruction instruction{};
  EXPECT_EQ(decoder.decode(size, bytes, instruction), DecodeStatus::kOk);
  EXPECT_EQ(instruction.length(), bytes.size());
  return instruction;
}

}  // namespace eidolon::isa
