// What a guest was told of its processor, in a snapshot: it is to find the same one when it goes on.
#pragma once

#include "base/result.h"
#include "base/state_stream.h"
#include "cpu/cpuid_model.h"

namespace eidolon::cpu {

void save_model(StateWriter& to, const CpuidModel& model);
/// Whether `model` is what the snapshot's guest knows: all that CPUID tells, and the time-stamp counter's
/// frequency to what a guest's clock does not mind.
[[nodiscard]] Result<> check_model(StateReader& from, const CpuidModel& model);

}  // namespace eidolon::cpu
