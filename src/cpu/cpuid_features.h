// The three sets of features that models are made of.
#pragma once

#include "cpu/cpuid_builder.h"

namespace eidolon::cpu {

/// What the host's CPUID shows.
[[nodiscard]] FeatureWords host_features();
/// What the guest may have if the host has it. Everything else is hidden.
[[nodiscard]] FeatureWords passed_features();
/// What the monitor provides whatever the host has.
[[nodiscard]] FeatureWords provided_features();
/// x86-64-v1, -v2 or -v3 (System V ABI for x86-64, section 3.1.1), without the provided ones.
[[nodiscard]] FeatureWords level_features(unsigned level);
/// The provided ones that a named model shows as well: the platform that every 64-bit system expects.
[[nodiscard]] FeatureWords basic_features();

}  // namespace eidolon::cpu
