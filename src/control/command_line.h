// The command line as a request. Nothing is started here, and nothing opened but the files of --fw-cfg and
// the snapshot to restore; what cannot be is one sentence.
#pragma once

#include <span>
#include <string>
#include <variant>

#include "control/ask_request.h"
#include "control/clone_request.h"
#include "control/explain_request.h"
#include "control/image_request.h"
#include "control/migrate_request.h"
#include "control/run_request.h"
#include "control/switch_request.h"

namespace eidolon::control {

struct CheckRequest {
  bool json = false;
};

/// Nothing more to do: help or the version was asked for, or the command line is wrong.
struct Finished {
  int status;
  std::string output;  ///< for standard output
  std::string error;   ///< for standard error, a sentence without "eidolon: "
};

using Request = std::variant<RunRequest, ExplainRequest, CheckRequest, ImageRequest, SwitchRequest,
                             AskRequest, CloneRequest, MigrateRequest, ReceiveRequest, Finished>;

/// `arguments` without the program's name.
[[nodiscard]] Request parse_command_line(std::span<const char* const> arguments);

}  // namespace eidolon::control
