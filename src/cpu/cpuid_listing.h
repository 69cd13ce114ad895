// All that a model tells a processor, as rows.
#pragma once

#include <vector>

#include "cpu/cpuid_model.h"

namespace eidolon::cpu {

/// What `processor` is told after its reset, by leaf: subleaf 0 first, and then those that differ from it.
[[nodiscard]] std::vector<CpuidLeaf> list_leaves(const CpuidModel& model, unsigned processor);

}  // namespace eidolon::cpu
