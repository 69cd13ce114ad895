// Compares a rewritten instruction, decoded again as 64-bit code, with the guest's.
#pragma once

#include <string>

#include "isa/rewrite.h"

namespace eidolon::isa {

/// What the memory operand of the rewritten instruction must be: [rip + 0], or [base] for base 0..15.
inline constexpr int kRip = 16;

/// Empty if `host` does what `guest` does with its memory operand at `base`, else the first difference.
std::string difference(const Instruction& guest, const Instruction& host, int base,
                       const HostOperand& rest = {});

}  // namespace eidolon::isa
