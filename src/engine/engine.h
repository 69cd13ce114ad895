// The contract that engines share: they run one processor until something outside it is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cpu/cpu.h"

namespace eidolon::engine {

enum class Stop : uint8_t {
  kRequested,     ///< kEventStop was raised (and has been taken)
  kShutdown,      ///< triple fault: Activity::kShutdown
  kBreakpoint,    ///< Cpu::breakpoints has the next instruction, which waits
  kDisagreement,  ///< lockstep only: Engine::report() says in what the two engines differ
};

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Runs on the calling thread. On return the whole architectural state is in cpu.state.
  [[nodiscard]] virtual Stop run() = 0;
  /// How many of Cpu::breakpoints it can stop at.
  [[nodiscard]] virtual size_t most_breakpoints() const { return SIZE_MAX; }
  /// What the engine counted, in lines of text for a person; empty if it counts nothing.
  [[nodiscard]] virtual std::string report() const { return {}; }
};

}  // namespace eidolon::engine
