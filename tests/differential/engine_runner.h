// An engine as a Runner: a processor over a little memory, at CPL 3, with page tables that map exactly what
// the host has mapped.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cpu/cpu.h"
#include "differential/runner.h"

namespace eidolon::differential {

class EngineRunner final : public Runner {
 public:
  /// Executes one instruction (a repeated one to its end) on the processor's state and returns its fault.
  using Execute = std::function<cpu::Outcome<>(const Case&)>;
  using MakeEngine = std::function<Execute(cpu::Cpu&)>;

  EngineRunner(std::string name, const MakeEngine& make);
  ~EngineRunner() override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  void run(const Case& test, Result& result) override;

 private:
  struct Machine;
  void map_page(uint64_t linear, uint64_t physical, uint64_t flags);

  std::string name_;
  std::unique_ptr<Machine> machine_;
  Execute execute_;
};

}  // namespace eidolon::differential
