// Memory operands of which a mask selects elements, where the whole operand cannot be accessed at once: only
// selected elements are touched, and only they fault (SDM volume 1, 15.6.4; volume 2, VMASKMOV, VPCOMPRESS,
// VPEXPAND).
#pragma once

#include "engine/step/context.h"

namespace eidolon::engine::step {

[[nodiscard]] cpu::Outcome<> run_masked(Context& context, const Operation& operation, uint64_t linear,
                                        uint64_t offset);
/// The same for an operand that leaves its segment (or canonical space): `fault` is raised unless no selected
/// element does so.
[[nodiscard]] cpu::Outcome<> run_masked_beyond_segment(Context& context, const Operation& operation,
                                                       uint64_t offset, const cpu::Fault& fault);

}  // namespace eidolon::engine::step
