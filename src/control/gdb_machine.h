// The machine that runs now, as a GDB session sees it: a reset of the guest replaces it.
#pragma once

#include <optional>

#include "control/gdb_target.h"

namespace eidolon::control {

/// On one thread at a time.
class GdbMachine final : public GdbTarget {
 public:
  /// `told` is as machine::Debugger has it.
  explicit GdbMachine(std::function<void()> told) : told_(std::move(told)) {}

  /// Before it runs.
  void begin(machine::Machine& machine, machine::Debugger::Start start,
             std::span<const uint64_t> breakpoints);
  /// When it has ended, or is about to.
  void end();

  [[nodiscard]] size_t processors() const override { return processors_; }
  void hold() override;
  void go_on(const std::vector<Order>& orders) override;
  [[nodiscard]] std::optional<Stop> take_stop() override;
  [[nodiscard]] bool visit(size_t processor, const std::function<void(cpu::State&)>& visit) override;
  [[nodiscard]] std::vector<uint8_t> read(size_t processor, uint64_t linear, size_t length) override;
  [[nodiscard]] bool write(size_t processor, uint64_t linear, std::span<const uint8_t> bytes) override;
  Result<> add_breakpoint(uint64_t linear) override;
  void remove_breakpoint(uint64_t linear) override;
  void kill() override;
  void say(std::string_view sentence) override;

 private:
  const std::function<void()> told_;
  machine::Machine* machine_ = nullptr;
  std::optional<machine::Debugger> debugger_;  ///< of machine_
  size_t processors_ = 1;                      ///< that the last one had
};

}  // namespace eidolon::control
