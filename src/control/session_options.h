// The options of every command that runs a machine with its user at it: what is not the machine's own, but of
// the process that runs it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/run_request.h"

namespace eidolon::control {

/// As they were typed.
struct SessionText {
  std::string engine = "auto", irqchip = "auto";
  std::string serial;  ///< empty: stdio, unless the screen is there
  std::string display = "none";
  std::string name, control;
  std::string gdb;  ///< empty: no debugger is waited for
  bool gdb_wait = false;
  bool no_reboot = false;
  bool statistics = false;
  bool perf_map = false;
};

void describe_session(CLI::App& command, SessionText& text);
/// Into `request`, whose machine is complete.
[[nodiscard]] Result<> read_session(const SessionText& text, RunRequest& request);

}  // namespace eidolon::control
