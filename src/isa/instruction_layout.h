// Where the parts of an instruction lie, for the legacy encodings with at most one prefix and REX: enough to
// tell instructions apart without decoding them. SDM volume 2, 2.1 (format) and appendix A (opcode maps).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "isa/instruction.h"

namespace eidolon::isa {

struct InstructionLayout {
  /// The bytes that determine the instruction, first byte lowest. No such sequence is the start of another,
  /// so the rest being 0 tells none from another.
  uint64_t key;
  uint8_t length;
  uint8_t displacement_at, displacement_size;  ///< in bytes; size 0: there is none
  uint8_t immediate_at, immediate_size;        ///< of an immediate that is not in the key
};

/// Nothing if the encoding is not one of those known here, or the bytes end too early. Not every layout is an
/// instruction. For 32- and 64-bit code.
[[nodiscard]] std::optional<InstructionLayout> instruction_layout(CodeSize size,
                                                                  std::span<const uint8_t> bytes);

}  // namespace eidolon::isa
