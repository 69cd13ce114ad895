// The command line as a request. Nothing is opened or started here; what cannot be is one sentence.
#pragma once

#include <span>
#include <string>
#include <variant>

#include "backend/display_target.h"
#include "backend/serial_target.h"
#include "control/ask_request.h"
#include "control/image_request.h"
#include "machine/machine_config.h"

namespace eidolon::control {

struct RunRequest {
  machine::MachineConfig machine;
  backend::SerialTarget serial;
  backend::DisplayTarget display;
  std::string name;          ///< of the machine, for its control socket; empty: none
  std::string control;       ///< the control socket's path, if it is not to follow from the name
  std::string firmware_log;  ///< a file for what firmware writes to its log port; empty: there is none
  bool statistics = false;   ///< print what the engine counted when the machine ends
  bool perf_map = false;     ///< write the map of generated code for Linux perf
  bool reboot = true;        ///< a reset starts the machine again; otherwise it ends the program
};

struct ExplainRequest {
  machine::MachineConfig machine;
  std::string at;  ///< an address or a symbol
  std::optional<std::string> symbols;
  std::string after;  ///< what the guest has to write to its serial port first; empty: nothing
  unsigned timeout_seconds = 60;
};

struct CheckRequest {
  bool json = false;
};

/// Nothing more to do: help or the version was asked for, or the command line is wrong.
struct Finished {
  int status;
  std::string output;  ///< for standard output
  std::string error;   ///< for standard error, a sentence without "eidolon: "
};

using Request = std::variant<RunRequest, ExplainRequest, CheckRequest, ImageRequest, AskRequest, Finished>;

/// `arguments` without the program's name.
[[nodiscard]] Request parse_command_line(std::span<const char* const> arguments);

}  // namespace eidolon::control
