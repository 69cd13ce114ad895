// A disagreement in words: where it was, the guest's code and the host's.
#pragma once

#include <string>

#include "cpu/cpu.h"
#include "engine/translate/round.h"

namespace eidolon::engine::lockstep {

/// `shadow` is asked for the bytes of the guest's code.
[[nodiscard]] std::string describe_code(const translate::Round& round, cpu::Cpu& shadow);

}  // namespace eidolon::engine::lockstep
