#include "cpu/debug.h"

#include "base/bits.h"
#include "x86/control_registers.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

enum class BreakpointType : uint8_t { kExecute, kWrite, kPort, kReadOrWrite };

constexpr uint64_t kDr7Enables = 0xff;
constexpr uint64_t kDr6Fixed = 0xffff0ff0;
constexpr uint64_t kDr6Defined = kDr6BreakpointMask | kDr6DebugAccess | kDr6SingleStep | 1u << 15;
constexpr uint64_t kDr7Fixed = 0x400;
constexpr uint64_t kDr7Defined = 0xffff23ff;

[[nodiscard]] bool enabled(uint64_t dr7, unsigned index) { return (dr7 >> (index * 2) & 3) != 0; }
[[nodiscard]] BreakpointType type(uint64_t dr7, unsigned index) {
  return static_cast<BreakpointType>(dr7 >> (16 + index * 4) & 3);
}
/// 1, 2, 8 or 4 bytes.
[[nodiscard]] unsigned length(uint64_t dr7, unsigned index) {
  constexpr unsigned kLengths[] = {1, 2, 8, 4};
  return kLengths[dr7 >> (18 + index * 4) & 3];
}

[[nodiscard]] bool overlaps(uint64_t breakpoint, unsigned bytes, uint64_t start, unsigned size) {
  const uint64_t first = align_down(breakpoint, bytes);
  return first <= start + (size - 1) && start <= first + (bytes - 1);
}

/// Whether the instruction at RIP is in the shadow of MOV SS or POP SS.
[[nodiscard]] bool held_back(const State& state) {
  return state.shadow_blocks_debug && state.interrupt_shadow == state.rip;
}

template <typename Matches>
[[nodiscard]] uint64_t hits(const State& state, Matches matches) {
  uint64_t found = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if (enabled(state.dr7, i) && matches(i, type(state.dr7, i))) found |= uint64_t{1} << i;
  }
  return found;
}

}  // namespace

bool breakpoints_enabled(const State& state) { return (state.dr7 & kDr7Enables) != 0; }

std::optional<Fault> instruction_breakpoint(const State& state, uint64_t linear) {
  if ((state.rflags & kFlagRf) != 0 || held_back(state)) return std::nullopt;
  const uint64_t found = hits(state, [&](unsigned i, BreakpointType kind) {
    return kind == BreakpointType::kExecute && state.dr[i] == linear;
  });
  if (found == 0) return std::nullopt;
  return Fault{.vector = kDebug, .address = found};
}

void note_data_access(State& state, uint64_t linear, unsigned size, bool write) {
  state.pending_debug |= hits(state, [&](unsigned i, BreakpointType kind) {
    const bool watches = kind == BreakpointType::kReadOrWrite || (write && kind == BreakpointType::kWrite);
    return watches && overlaps(state.dr[i], length(state.dr7, i), linear, size);
  });
}

void note_port_access(State& state, uint16_t port, unsigned size) {
  if ((state.control.cr4 & kCr4De) == 0) return;
  state.pending_debug |= hits(state, [&](unsigned i, BreakpointType kind) {
    return kind == BreakpointType::kPort && overlaps(state.dr[i], length(state.dr7, i), port, size);
  });
}

std::optional<Fault> debug_trap(State& state, bool tf_before) {
  // After MOV SS the single step is lost and data breakpoints wait for the next instruction
  // (SDM volume 3, 6.8.3).
  if (held_back(state)) return std::nullopt;
  const uint64_t due = state.pending_debug | (tf_before ? kDr6SingleStep : 0);
  state.pending_debug = 0;
  if (due == 0) return std::nullopt;
  return Fault{.vector = kDebug, .address = due, .trap = true};
}

uint64_t read_debug_register(const State& state, unsigned number) {
  switch (number) {
    case 4:
    case 6:
      return state.dr6;
    case 5:
    case 7:
      return state.dr7;
    default:
      return state.dr[number & 3];
  }
}

Outcome<> write_debug_register(State& state, unsigned number, uint64_t value) {
  if (number < 4) {
    state.dr[number] = value;
    return {};
  }
  if (value >> 32 != 0) return raise_gp();
  if (number == 4 || number == 6) {
    state.dr6 = (value & kDr6Defined) | kDr6Fixed;
  } else {
    state.dr7 = (value & kDr7Defined) | kDr7Fixed;
  }
  return {};
}

Fault general_detect_fault() { return Fault{.vector = kDebug, .address = kDr6DebugAccess}; }

}  // namespace eidolon::cpu
