// Decoded instructions that sites refer to, each kept once: a guest has thousands of CLI, but one meaning of
// it.
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "isa/instruction.h"

namespace eidolon::engine::translate {

class InstructionPool {
 public:
  /// The instruction with these bytes; stays until `clear`.
  [[nodiscard]] const isa::Instruction* keep(const isa::Instruction& instruction,
                                             std::span<const uint8_t> bytes) {
    std::string key(1, static_cast<char>(instruction.code_size));
    for (const uint8_t byte : bytes) key.push_back(static_cast<char>(byte));
    return &by_bytes_.try_emplace(std::move(key), instruction).first->second;
  }
  void clear() { by_bytes_.clear(); }

 private:
  std::unordered_map<std::string, isa::Instruction> by_bytes_;
};

}  // namespace eidolon::engine::translate
