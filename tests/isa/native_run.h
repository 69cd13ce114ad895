// Runs one instruction on the host processor with chosen general registers and flags. Vector registers are
// whatever they are; x87 is reset after each run.
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

  /// Places `code`, an instruction that does not jump and touches no memory but what the caller's registers
  /// point it at, for run().
  void load(std::span<const uint8_t> code);
  /// False if the instruction faulted; `state` is then unspecified.
  bool run(NativeState& state);
  /// The signal that ended the last run, or 0.
  [[nodiscard]] int signal() const { return signal_; }

 private:
  uint8_t* page_;
  uint8_t* signal_stack_;
  int signal_ = 0;
};

}  // namespace eidolon::isa
