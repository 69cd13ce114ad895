// One question to a running machine, by its control socket (docs/control.md).
#pragma once

#include <functional>
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

/// The exit status of a command that asks machines. What went wrong, an answer that makes no sense included,
/// goes to standard error.
[[nodiscard]] int exit_status_of(const std::function<Result<>()>& command);

}  // namespace eidolon::control
