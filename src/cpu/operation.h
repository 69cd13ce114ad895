// One sensitive instruction under way: the processor, the decoded instruction, and access to its operands
// with the checks that the current mode makes. Handlers get nothing else.
#pragma once

#include <cstdint>

#include "cpu/cpu.h"
#include "cpu/linear.h"
#include "cpu/segmentation.h"
#include "cpu/sensitive.h"
#include "isa/instruction.h"

namespace eidolon::cpu {

class Operation {
 public:
  Operation(Cpu& processor, const isa::Instruction& decoded)
      : cpu(processor), state(processor.state), instruction(decoded) {}

  Cpu& cpu;
  State& state;
  const isa::Instruction& instruction;

  /// The effective operand size: 1, 2, 4 or 8 bytes.
  [[nodiscard]] unsigned operand_size() const { return instruction.zydis.operand_width / 8u; }
  /// The address of the next instruction, in the width of the code segment.
  [[nodiscard]] uint64_t next_rip() const;
  [[nodiscard]] const ZydisDecodedOperand& operand(unsigned index) const {
    return instruction.operands[index];
  }
  [[nodiscard]] bool is_memory(unsigned index) const {
    return operand(index).type == ZYDIS_OPERAND_TYPE_MEMORY;
  }

  /// The current privilege level; 0 in real-address mode.
  [[nodiscard]] unsigned cpl() const { return state.protected_mode() ? state.cpl() : 0; }
  /// #GP(0) unless the privilege level is 0.
  [[nodiscard]] Outcome<> require_ring0() const;

  /// Linear address of `size` bytes at a memory operand, after its segment's checks. Counts as a data access
  /// for the debug registers.
  [[nodiscard]] Outcome<uint64_t> address(const ZydisDecodedOperand& memory, unsigned size,
                                          mmu::Access access) const;
  [[nodiscard]] Outcome<> read_memory(const ZydisDecodedOperand& memory, void* to, unsigned size) const;
  [[nodiscard]] Outcome<> write_memory(const ZydisDecodedOperand& memory, const void* from,
                                       unsigned size) const;

  /// A general register, or `size` bytes of memory, zero-extended.
  [[nodiscard]] Outcome<uint64_t> read(unsigned index, unsigned size) const;
  /// To a general register in the width of `size` (a 32-bit write clears the upper half), or to memory.
  [[nodiscard]] Outcome<> write(unsigned index, uint64_t value, unsigned size) const;

  /// EDX:EAX of instructions that take or give 64 bits in two halves.
  [[nodiscard]] uint64_t edx_eax() const;
  void set_edx_eax(uint64_t value) const;
};

/// Writes a general register in a width of 1, 2, 4 or 8 bytes. `size` 1 means the low byte.
void write_gpr(State& state, unsigned index, uint64_t value, unsigned size);
/// The number of a general register operand: 0 to 15.
[[nodiscard]] unsigned gpr_number(ZydisRegister reg);
/// The number of a register operand in its class, whose register 0 is `first` (CR0, DR0, ES).
[[nodiscard]] unsigned register_number(const ZydisDecodedOperand& operand, ZydisRegister first);

}  // namespace eidolon::cpu
