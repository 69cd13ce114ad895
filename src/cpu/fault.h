// What the guest did wrong, as an ordinary value: an exception to be delivered to it.
#pragma once

#include <cstdint>
#include <expected>

#include "x86/exceptions.h"

namespace eidolon::cpu {

struct Fault {
  uint8_t vector;        ///< x86::Vector
  uint32_t error = 0;    ///< pushed if x86::pushes_error_code(vector)
  uint64_t address = 0;  ///< CR2 of a page fault; pending DR6 bits of a debug exception
  bool trap = false;     ///< RIP to push is the next instruction's and already in State::rip (#DB traps)
};

/// A value, or the exception that computing it raises.
template <typename T = void>
using Outcome = std::expected<T, Fault>;

[[nodiscard]] inline std::unexpected<Fault> raise(x86::Vector vector, uint32_t error = 0) {
  return std::unexpected(Fault{vector, error});
}
[[nodiscard]] inline std::unexpected<Fault> raise_gp(uint32_t error = 0) {
  return raise(x86::kGeneralProtection, error);
}
[[nodiscard]] inline std::unexpected<Fault> raise_ud() { return raise(x86::kInvalidOpcode); }

}  // namespace eidolon::cpu
