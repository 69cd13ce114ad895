// The translator and the step engine side by side on the same guest, compared after every block.
//
// The machine's processor is run by the translator, one block at a time (translate/round.h). What it gets
// from outside is recorded. A second processor with a copy of the memory is stepped as many instructions and
// given the same from outside; then the states must be the same, from time to time the memories too.
//
// Arithmetic flags count as far as the guest's code can see them: see translate/builder.h on the precision
// that the translator gives up. Where a fault or an interrupt may push them, the second processor takes the
// first one's.
//
// Not compared: what RDRAND and RDSEED give, so the machine must not offer them; and devices must not write
// to memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "engine/engine.h"

namespace eidolon::engine {

class LockstepEngine final : public Engine {
 public:
  struct Options {
    /// The translator runs alone, at its full speed, until the guest first writes to this port: a kernel's
    /// decompression is billions of instructions of one loop. None: lockstep from the start.
    std::optional<uint16_t> begin_at_port = {};
    uint64_t rounds_per_memory_check = 2'000'000;
    uint64_t rounds_per_extended_check = 16;
    /// For tests: called after each round with its number, may spoil the second processor's state.
    std::function<void(uint64_t, cpu::State&)> disturb = {};
  };
  static Result<std::unique_ptr<LockstepEngine>> create(cpu::Cpu& cpu, Options options);
  static Result<std::unique_ptr<LockstepEngine>> create(cpu::Cpu& cpu) { return create(cpu, Options{}); }
  ~LockstepEngine() override;

  [[nodiscard]] std::string_view name() const override { return "lockstep"; }
  /// Stop::kDisagreement at the first difference; report() tells it.
  [[nodiscard]] Stop run() override;
  [[nodiscard]] std::string report() const override;

  /// Compares everything now, between two calls of run(). False if the engines disagree.
  [[nodiscard]] bool check_all();
  [[nodiscard]] uint64_t rounds() const;
  [[nodiscard]] uint64_t instructions() const;

 private:
  class Impl;
  explicit LockstepEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace eidolon::engine
