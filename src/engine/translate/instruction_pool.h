// Decoded instructions that sites refer to, each kept once: a guest has thousands of CLI, but one meaning of
// it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "base/chunks.h"
#include "isa/instruction.h"

namespace eidolon::engine::translate {

class InstructionPool {
 public:
  /// The number of the instruction with these bytes; stays until `clear`.
  [[nodiscard]] uint32_t keep(const isa::Instruction& instruction, std::span<const uint8_t> bytes) {
    std::string key(1, static_cast<char>(instruction.code_size));
    for (const uint8_t byte : bytes) key.push_back(static_cast<char>(byte));
    const auto number = static_cast<uint32_t>(instructions_.size());
    const auto [at, is_new] = by_bytes_.try_emplace(std::move(key), number);
    if (is_new) instructions_.emplace_back(instruction);
    return at->second;
  }
  [[nodiscard]] const isa::Instruction& at(uint32_t number) const { return instructions_[number]; }
  void clear() {
    by_bytes_.clear();
    instructions_.clear();
  }

 private:
  Chunks<isa::Instruction> instructions_;
  std::unordered_map<std::string, uint32_t> by_bytes_;
};

}  // namespace eidolon::engine::translate
