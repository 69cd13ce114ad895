// What a GDB session works on: a machine (gdb_machine.h), or in tests whatever stands for one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cpu/state.h"
#include "machine/debugger.h"

namespace eidolon::control {

/// As machine::Debugger, which says more; while there is no machine, calls fail or do nothing.
class GdbTarget {
 public:
  using Order = machine::Debugger::Order;
  using Stop = machine::Debugger::Stop;

  virtual ~GdbTarget() = default;
  /// At least one.
  [[nodiscard]] virtual size_t processors() const = 0;
  virtual void hold() = 0;
  virtual void go_on(const std::vector<Order>& orders) = 0;
  [[nodiscard]] virtual std::optional<Stop> take_stop() = 0;
  [[nodiscard]] virtual bool visit(size_t processor, const std::function<void(cpu::State&)>& visit) = 0;
  [[nodiscard]] virtual std::vector<uint8_t> read(size_t processor, uint64_t linear, size_t length) = 0;
  [[nodiscard]] virtual bool write(size_t processor, uint64_t linear, std::span<const uint8_t> bytes) = 0;
  virtual Result<> add_breakpoint(uint64_t linear) = 0;
  virtual void remove_breakpoint(uint64_t linear) = 0;
  /// Pulls the plug.
  virtual void kill() = 0;
  /// One sentence for the user, who may not see what GDB is told.
  virtual void say(std::string_view sentence) = 0;
};

}  // namespace eidolon::control
