// The second processor: its own memory, a machine made of tape, and the step engine, driven to wherever the
// first one got.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "engine/lockstep/replayer.h"
#include "engine/step/step_engine.h"
#include "engine/translate/round.h"

namespace eidolon::engine::lockstep {

class Shadow {
 public:
  /// A copy of `original` as it is now.
  static Result<std::unique_ptr<Shadow>> create(const cpu::Cpu& original, Tape& tape);

  /// Does what the first processor did in `round`. `before`: its RFLAGS before the round; `after`: its state
  /// after it. The words of the first disagreement on the way, if any.
  [[nodiscard]] std::optional<std::string> follow(const translate::Round& round, uint64_t before,
                                                  const cpu::State& after);

  [[nodiscard]] cpu::Cpu& cpu() { return cpu_; }
  [[nodiscard]] const memory::GuestMemory& memory() const { return *memory_; }
  [[nodiscard]] uint64_t instructions() const { return instructions_; }

 private:
  Shadow(const cpu::Cpu& original, std::unique_ptr<memory::GuestMemory> memory, Tape& tape);
  void service(const cpu::State& after);
  [[nodiscard]] bool advance_to(uint64_t rip);
  void step_as(const cpu::State& after);
  void finish_part_of_string(const cpu::State& after);
  void take_flags(uint64_t rflags);
  void step_once();

  Tape& tape_;
  const std::unique_ptr<memory::GuestMemory> memory_;
  Replayer around_;
  cpu::Cpu cpu_;
  StepEngine step_;
  uint64_t instructions_ = 0;
};

}  // namespace eidolon::engine::lockstep
