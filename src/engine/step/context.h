// What a handler works with: the processor, and its memory through the segmentation and paging of the current
// mode, with the checks that every data access has (limits, alignment, breakpoints).
#pragma once

#include <cstdint>

#include "base/bits.h"
#include "base/try.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/linear.h"
#include "cpu/segmentation.h"
#include "cpu/vendor_rules.h"
#include "engine/step/operation.h"

namespace eidolon::engine::step {

class NativeRunner;

class Context {
 public:
  Context(cpu::Cpu& processor, NativeRunner& runner, const cpu::VendorRules& vendor_rules)
      : cpu(processor), state(processor.state), native(runner), rules(vendor_rules) {}

  cpu::Cpu& cpu;
  cpu::State& state;
  NativeRunner& native;
  const cpu::VendorRules rules;
  uint64_t next_rip = 0;  ///< of the instruction after the current one
  bool long_code = false;

  /// The offset that `address` names now, truncated to the address size.
  [[nodiscard]] uint64_t offset(const Address& address) const {
    uint64_t sum = static_cast<uint64_t>(address.displacement);
    if (address.base == Address::kRip) {
      sum += next_rip;
    } else if (address.base >= 0) {
      sum += state.gpr[static_cast<unsigned>(address.base)];
    }
    if (address.index >= 0) sum += state.gpr[static_cast<unsigned>(address.index)] << address.shift;
    return sum & address.mask;
  }

  /// Linear address of a data access, after its segment checks.
  [[nodiscard]] cpu::Outcome<uint64_t> linear(x86::Segment segment, uint64_t offset, unsigned size,
                                              mmu::Access access) const {
    if (!long_code) return cpu::linear_address(cpu, segment, offset, size, access);
    const uint64_t address = offset + (segment >= x86::kFs ? state.segment[segment].base : 0);
    if (cpu::is_canonical(address) && cpu::is_canonical(address + size - 1)) [[likely]]
      return address;
    return cpu::raise(segment == x86::kSs ? x86::kStackFault : x86::kGeneralProtection);
  }

  /// #AC for an operand that must lie at a multiple of `alignment`, and note of data breakpoints.
  [[nodiscard]] cpu::Outcome<> check_access(uint64_t address, unsigned size, unsigned alignment, bool write) {
    if ((state.rflags & x86::kFlagAc) != 0 && (address & (alignment - 1)) != 0 &&
        (state.control.cr0 & x86::kCr0Am) != 0 && state.cpl() == 3) [[unlikely]]
      return cpu::raise(x86::kAlignmentCheck);
    if ((state.dr7 & 0xff) != 0) [[unlikely]]
      cpu::note_data_access(state, address, size, write);
    return {};
  }

  // Zero-extended loads and truncated stores of 1, 2, 4 or 8 bytes.
  [[nodiscard]] cpu::Outcome<uint64_t> load(x86::Segment segment, uint64_t offset, unsigned size);
  [[nodiscard]] cpu::Outcome<> store(x86::Segment segment, uint64_t offset, uint64_t value, unsigned size);
  /// What a store would raise.
  [[nodiscard]] cpu::Outcome<> probe_store(x86::Segment segment, uint64_t offset, unsigned size);

  [[nodiscard]] cpu::Outcome<> push(uint64_t value, unsigned size);
  [[nodiscard]] cpu::Outcome<uint64_t> pop(unsigned size);

  [[nodiscard]] uint64_t read_register(ZydisRegister reg) const;
  /// A 32-bit write clears the upper half.
  void write_register(ZydisRegister reg, uint64_t value);
  /// A general register, memory or immediate operand.
  [[nodiscard]] cpu::Outcome<uint64_t> read_operand(const Operation& operation,
                                                    const ZydisDecodedOperand& operand);

  /// Writes the low bits of register `index` that `mask` (of an address or stack size) covers; 32-bit writes
  /// clear the upper half.
  void write_masked(unsigned index, uint64_t value, uint64_t mask) {
    uint64_t& reg = state.gpr[index];
    reg = mask == 0xffff ? (reg & ~mask) | (value & mask) : value & mask;
  }

  void advance() { state.rip = next_rip; }
  /// Branches to `target`, which #GP(0) guards: the limit of CS, or canonical form in 64-bit mode.
  [[nodiscard]] cpu::Outcome<> check_target(uint64_t target) const {
    const bool good = long_code ? cpu::is_canonical(target) : target <= state.segment[x86::kCs].limit;
    if (!good) return cpu::raise_gp();
    return {};
  }
};

// The handlers, by family.
cpu::Outcome<> run_sensitive(Context& context, const Operation& operation);
cpu::Outcome<> run_undefined(Context& context, const Operation& operation);
cpu::Outcome<> run_nothing(Context& context, const Operation& operation);
cpu::Outcome<> run_direction_flag(Context& context, const Operation& operation);
cpu::Outcome<> run_plain(Context& context, const Operation& operation);
cpu::Outcome<> run_vector_zero(Context& context, const Operation& operation);
cpu::Outcome<> run_memory(Context& context, const Operation& operation);
cpu::Outcome<> run_line_flush(Context& context, const Operation& operation);
cpu::Outcome<> run_lea(Context& context, const Operation& operation);
cpu::Outcome<> run_bit_string(Context& context, const Operation& operation);
Handler choose_branch(const isa::Instruction& instruction);
Handler choose_stack(const isa::Instruction& instruction);
Handler choose_string(const isa::Instruction& instruction);
Handler choose_implicit(const isa::Instruction& instruction);
/// What 64-bit code cannot say: decimal arithmetic, BOUND, ARPL. Null if `instruction` is none of these.
Handler choose_legacy(const isa::Instruction& instruction);

/// #UD or #NM if CR0, CR4 or XCR0 do not allow the instruction's register state now.
[[nodiscard]] cpu::Outcome<> check_extended_state(const cpu::State& state, const Operation& operation);

}  // namespace eidolon::engine::step
