// The exit statuses of the program, as docs/usage.md lists them.
#pragma once

#include "machine/ending.h"

namespace eidolon::control {

inline constexpr int kExitOk = 0;         ///< the guest switched itself off, or the user left with Ctrl-A x
inline constexpr int kExitHostError = 1;  ///< the host failed while the machine ran
inline constexpr int kExitUsage = 2;      ///< what was asked for is not possible
inline constexpr int kExitReset = 3;      ///< under --no-reboot: a triple fault, or a reset (a panic's, too)
inline constexpr int kExitSignal = 128;   ///< plus the signal's number

/// The status for an ending after which the program ends too.
[[nodiscard]] constexpr int exit_status(const machine::Ending& ending) {
  using Kind = machine::Ending::Kind;
  switch (ending.kind) {
    case Kind::kReset:
    case Kind::kTripleFault:
      return kExitReset;
    // As other monitors do, so that a guest's success (0) differs from the guest's power-off. The host keeps
    // eight bits of a status.
    case Kind::kDebugExit:
      return static_cast<int>(((ending.debug_value << 1) | 1) & 0xff);
    case Kind::kDisagreement:
    case Kind::kDamaged:
    case Kind::kLost:
      return kExitHostError;
    case Kind::kPowerOff:
    case Kind::kMoved:
    case Kind::kStopped:
      return kExitOk;
  }
  return kExitHostError;
}

}  // namespace eidolon::control
