// What `eidolon run` and `eidolon restore` are asked to do.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/display_target.h"
#include "backend/serial_target.h"
#include "machine/arrival.h"
#include "machine/machine_config.h"
#include "machine/saved_machine.h"
#include "migration/place.h"

namespace eidolon::control {

struct RunRequest {
  machine::MachineConfig machine;
  /// The machine goes on from it; null: it starts.
  std::shared_ptr<const machine::SavedMachine> snapshot;
  /// It is handed over by another process, as soon as it can run; null: it is ours alone.
  std::shared_ptr<machine::Arrival> arrival;
  bool catch_up = false;  ///< of a snapshot: its clocks are not to be late by the time since
  backend::SerialTarget serial;
  backend::DisplayTarget display;
  std::string name;          ///< of the machine, for its control socket; empty: none
  std::string control;       ///< the control socket's path, if it is not to follow from the name
  std::string firmware_log;  ///< a file for what firmware writes to its log port; empty: there is none
  std::optional<migration::Place> gdb;  ///< where GDB may attach
  bool gdb_wait = false;                ///< nothing runs before it says so
  bool statistics = false;              ///< print what the engine counted when the machine ends
  bool perf_map = false;                ///< write the map of generated code for Linux perf
  bool reboot = true;                   ///< a reset starts the machine again; otherwise it ends the program
};

}  // namespace eidolon::control
