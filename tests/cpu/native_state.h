// Runs one state-image instruction on the host processor with a given x87 and vector state: the oracle of the
// state image tests.
#pragma once

#include <cstdint>

#include "cpu/state.h"

namespace eidolon::cpu {

enum class ImageInstruction : uint8_t {
  kFxsave,
  kFxrstor,
  kFnstenv,
  kFnstenv16,
  kFldenv,
  kFldenv16,
  kFnsave,
  kFnsave16,
  kFrstor,
  kFrstor16,
  kXsave,
  kXsaveOpt,
  kXsaveC,
  kXrstor,
};

/// Loads `before`, executes the instruction on `memory` with `mask` in EDX:EAX, and returns the state after
/// it. The caller's own state is kept.
[[nodiscard]] XsaveImage run_natively(ImageInstruction instruction, const XsaveImage& before, void* memory,
                                      uint64_t mask);

}  // namespace eidolon::cpu
