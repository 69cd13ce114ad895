// One question to a running machine, by its control socket (docs/control.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace eidolon::control {

inline constexpr unsigned kPatienceSeconds = 30;
/// A snapshot takes as long as the disk does.
inline constexpr unsigned kSnapshotPatienceSeconds = 3600;

/// The answer, which is an object; a refusal is the error.
[[nodiscard]] Result<nlohmann::json> ask_machine(const std::string& path, const std::string& request,
                                                 unsigned patience = kPatienceSeconds);

}  // namespace eidolon::control
