// What a debugger outside the guest does with a machine: has it stand, looks at it, and lets it go on. The
// guest sees nothing of it: its own breakpoints, TF and debug registers are its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "cpu/state.h"
#include "machine/machine.h"

namespace eidolon::machine {

/// The one of its machine, on one thread. Calls that need the processors to stand have them meet, and so wait
/// for run(); they fail, or do nothing, once the machine has ended.
class Debugger {
 public:
  using Order = Processors::Order;
  using Stop = Machine::DebugStop;

  enum class Start : uint8_t {
    kRuns,
    kStands,  ///< before its first instruction, until go_on()
  };
  /// Before run(). `told` is called, on a processor's thread, when there is something for take_stop(); it is
  /// brief and calls nothing of the machine.
  Debugger(Machine& machine, Start start, std::function<void()> told);
  /// The first ones, before run(). The error is one sentence; those before it are there.
  Result<> begin_with(std::span<const uint64_t> breakpoints);
  /// The machine goes on, without breakpoints.
  ~Debugger();
  Debugger(const Debugger&) = delete;
  Debugger& operator=(const Debugger&) = delete;

  /// Has it stand; returns when it does.
  void hold();
  /// Each processor does what its order says, as soon as nobody else has the machine paused.
  void go_on(const std::vector<Order>& orders);
  /// Why it stands, if it was neither hold() nor told before.
  [[nodiscard]] std::optional<Stop> take_stop();

  [[nodiscard]] size_t processors() const { return machine_.processors_.size(); }
  /// Calls `visit` with the state of a processor while all stand. False: the machine has ended.
  bool visit(size_t processor, const std::function<void(cpu::State&)>& visit);
  // Linear addresses, by the page tables of a processor, whatever they allow.
  /// As many bytes as there are, from the first on.
  [[nodiscard]] std::vector<uint8_t> read(size_t processor, uint64_t linear, size_t length);
  /// All of them, to RAM, or none.
  [[nodiscard]] bool write(size_t processor, uint64_t linear, std::span<const uint8_t> bytes);
  /// The error is one sentence.
  Result<> add_breakpoint(uint64_t linear);
  void remove_breakpoint(uint64_t linear);

 private:
  /// False: the machine has ended, and the task was not, or may not have been, done.
  bool while_all_stand(std::function<void()> task);

  Machine& machine_;
};

}  // namespace eidolon::machine
