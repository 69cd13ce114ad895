// A decoded guest instruction made ready to run: what the engine needs each time, precomputed from what the
// decoder says once.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/fault.h"
#include "isa/catalogue.h"
#include "isa/instruction.h"
#include "x86/registers.h"

namespace eidolon::engine::step {

class Context;
struct Operation;

/// Executes an operation whose first byte is at State::rip. On success State::rip is the next instruction's.
using Handler = cpu::Outcome<> (*)(Context&, const Operation&);

/// The address part of a memory operand, as numbers. Register numbers are x86::Gpr.
struct Address {
  static constexpr int8_t kNone = -1;
  static constexpr int8_t kRip = 16;

  int8_t base = kNone;
  int8_t index = kNone;
  uint8_t shift = 0;  ///< log2 of the scale
  x86::Segment segment = x86::kDs;
  int64_t displacement = 0;
  uint64_t mask = ~uint64_t{0};  ///< of the address size
};

struct Operation {
  std::array<uint8_t, 16> bytes{};  ///< the instruction, zero-padded
  uint8_t length = 0;
  isa::CodeSize code_size{};
  bool touches_fpu = false;     ///< runs with the guest's extended state loaded
  bool protected_only = false;  ///< #UD in real and virtual-8086 mode
  bool reads_memory = false;
  bool writes_memory = false;
  bool masked = false;             ///< memory faults are suppressed for masked-off elements
  bool keeps_resume_flag = false;  ///< IRET loads RF, which is then the next instruction's
  isa::ExtendedState extended{};
  uint8_t operand_size = 0;  ///< bytes: operand size of stack, branch and string operations
  uint16_t memory_size = 0;  ///< bytes of the explicit memory operand
  Handler handler = nullptr;
  const uint8_t* stub = nullptr;
  Address address;  ///< of the explicit memory operand, if there is one
  isa::Instruction instruction;

  [[nodiscard]] uint64_t address_mask() const {
    const unsigned width = instruction.zydis.address_width;
    return width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  }
  [[nodiscard]] bool has(ZydisInstructionAttributes attribute) const {
    return (instruction.zydis.attributes & attribute) != 0;
  }
};

/// The address part of `operand`.
[[nodiscard]] Address make_address(const isa::Instruction& instruction, const ZydisDecodedOperand& operand);

/// The routine for an instruction, by its class and mnemonic.
[[nodiscard]] Handler choose_handler(const isa::Instruction& instruction);

}  // namespace eidolon::engine::step
