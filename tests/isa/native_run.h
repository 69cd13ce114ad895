// Runs one register-only instruction on the host processor with chosen general registers and flags.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace eidolon::isa {

struct NativeState {
  std::array<uint64_t, 16> gpr;
  uint64_t flags;
  bool operator==(const NativeState&) const = default;
};

class NativeRunner {
 public:
  NativeRunner();
  ~NativeRunner();
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  /// Places `code`, an instruction that neither jumps nor touches memory, for run().
  void load(std::span<const uint8_t> code);
  /// False if the instruction faulted; `state` is then unspecified.
  bool run(NativeState& state);

 private:
  uint8_t* page_;
  uint8_t* signal_stack_;
};

}  // namespace eidolon::isa
