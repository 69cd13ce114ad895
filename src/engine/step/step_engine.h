// The step engine: exactly one instruction at a time, right in every mode. The reference of the tests, and
// the fallback of the other engines.
#pragma once

#include <memory>

#include "cpu/cpu.h"
#include "cpu/vendor_rules.h"
#include "engine/engine.h"

namespace eidolon::engine {

class StepEngine final : public Engine {
 public:
  explicit StepEngine(cpu::Cpu& cpu);
  /// With the rules of a vendor that need not be the one that CPUID shows: for tests.
  StepEngine(cpu::Cpu& cpu, const cpu::VendorRules& rules);
  ~StepEngine() override;

  [[nodiscard]] std::string_view name() const override { return "step"; }
  [[nodiscard]] Stop run() override;

  /// Executes the instruction at State::rip: on success the state is that after it; on a fault it is that
  /// before it (repeated string instructions: after the iterations done), and nothing was delivered. A
  /// repeated string instruction may stop between iterations with RIP unchanged, so that events are seen.
  /// Does not look at events, TF or breakpoints.
  [[nodiscard]] cpu::Outcome<> execute_one();

  /// execute_one with everything around it: instruction breakpoints, TF, interrupt shadow, RF, delivery of
  /// what it raised. False on shutdown (triple fault). If Cpu::breakpoints has the instruction, it is not
  /// executed, and kEventStop is raised.
  bool step();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  cpu::Cpu& cpu_;
};

}  // namespace eidolon::engine
