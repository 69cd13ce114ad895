// Which instructions the host's processor may refuse.
#pragma once

#include "isa/instruction.h"

namespace eidolon::isa {

/// Whether the processor may raise an exception for it that is not one of its memory operand's page: #UD,
/// #DE, #AC or #GP of a misaligned operand, of the x87 and vector units. False only for what is known to be
/// harmless. Needs no operands.
[[nodiscard]] bool may_fault_by_itself(const Instruction& instruction);

}  // namespace eidolon::isa
