// What a string instruction is to do (SDM volume 2: MOVS, CMPS, STOS, LODS, SCAS, REP), in the two bytes
// that a Site keeps of it.
#pragma once

#include <cstdint>

#include "engine/translate/mode.h"
#include "isa/instruction.h"

namespace eidolon::engine::translate {

struct StringForm {
  enum class Operation : uint8_t { kMove, kCompare, kStore, kLoad, kScan };
  enum class Repeat : uint8_t { kNone, kWhileEqual, kWhileNotEqual };

  Operation operation : 3 = Operation::kMove;
  Repeat repeat : 2 = Repeat::kNone;    ///< moves, stores and loads: any but kNone
  bool narrow : 1 = false;              ///< 32-bit addresses and count
  uint8_t size : 4 = 0;                 ///< bytes of an element
  x86::Segment segment : 3 = x86::kDs;  ///< of the source

  [[nodiscard]] constexpr bool repeats() const { return repeat != Repeat::kNone; }
  [[nodiscard]] constexpr bool compares() const {
    return operation == Operation::kCompare || operation == Operation::kScan;
  }
  [[nodiscard]] constexpr bool uses_source() const {
    return operation != Operation::kStore && operation != Operation::kScan;
  }
  [[nodiscard]] constexpr bool uses_target() const { return operation != Operation::kLoad; }
  [[nodiscard]] constexpr bool writes_target() const {
    return operation == Operation::kMove || operation == Operation::kStore;
  }
  [[nodiscard]] constexpr bool uses_accumulator() const {
    return operation != Operation::kMove && operation != Operation::kCompare;
  }
};

/// The form of an instruction of class kString, with decoded operands.
[[nodiscard]] StringForm string_form(const isa::Instruction& instruction);
/// Whether emission knows it: not with 16-bit addresses, nor by a segment with limits.
[[nodiscard]] bool is_known_string(const isa::Instruction& instruction, Mode mode);

}  // namespace eidolon::engine::translate
