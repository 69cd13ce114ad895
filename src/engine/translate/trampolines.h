// The few routines at the start of the code cache by which generated code is entered and left.
//
// - enter: a C function. Loads the guest's registers from Frame::host_gpr and Frame::flags and jumps to
//   Frame::resume.
// - exit: jumped to with Frame::site set. Puts all registers and flags into the Frame and calls the
//   exit handler on the monitor's stack; resumes at the host address it returns, or, if that is 0, returns
//   from `enter`.
// - exit_settled: the same from 64-bit code where everything is settled and the flags are put aside. The
//   registers go to State::gpr and come from there, and flags are left alone, so nothing has to be copied;
//   who has more to load than that returns the address of `load`, with Frame::resume set.
//
// None touches x87 or vector state: whoever runs C++ that may use it saves the guest's first.
#pragma once

#include <cstdint>

#include "engine/translate/emitter.h"

namespace eidolon::engine::translate {

/// Called when generated code leaves; returns the host address to go on at, or 0.
using ExitHandler = uint64_t (*)(Frame*);

struct Trampolines {
  uint32_t enter;
  uint32_t exit;
  uint32_t exit_settled;
  uint32_t load;
  uint32_t end;  ///< offset of the first byte behind them
};

struct ExitHandlers {
  ExitHandler any, settled;
};

Trampolines emit_trampolines(Emitter& emitter, const Layout& layout, Frame& frame, ExitHandlers handlers);

}  // namespace eidolon::engine::translate
