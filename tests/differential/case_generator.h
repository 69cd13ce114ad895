// Random cases of one class: an instruction whose operands mostly lie in the arena, in a random state.
#pragma once

#include <optional>
#include <random>

#include "differential/runner.h"
#include "isa/decoder.h"
#include "isa/random_code.h"

namespace eidolon::differential {

class CaseGenerator {
 public:
  /// `vendor`: the host's, for the decoding.
  CaseGenerator(uint64_t seed, isa::CodeSize size, x86::Vendor vendor)
      : random_(seed), code_(seed ^ 0x9e3779b97f4a7c15), size_(size), decoder_(vendor) {}

  /// A case whose instruction is of class `wanted`; `instruction` is what it decodes to.
  void next(isa::Class wanted, Case& test, isa::Instruction& instruction);

 private:
  [[nodiscard]] bool acceptable(const isa::Instruction& instruction) const;
  void randomize_registers(Case& test);
  void randomize_extended(Case& test);
  void aim(Case& test, const isa::Instruction& instruction);
  void aim_operand(Case& test, const isa::Instruction& instruction, const ZydisDecodedOperand& operand);
  void patch_displacement(Case& test, const isa::Instruction& instruction, uint64_t target);
  uint64_t target_address();
  uint64_t value();
  uint64_t below(uint64_t limit) { return random_() % limit; }

  std::mt19937_64 random_;
  isa::RandomCode code_;
  isa::CodeSize size_;
  isa::Decoder decoder_;
};

}  // namespace eidolon::differential
