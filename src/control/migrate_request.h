// What `eidolon migrate` and `eidolon receive` are asked to do.
#pragma once

#include <optional>
#include <string>

#include "control/session_options.h"
#include "machine/arrival.h"
#include "migration/place.h"

namespace eidolon::control {

struct MigrateRequest {
  enum class Action : uint8_t { kMove, kCancel, kShow } action = Action::kMove;
  std::string name;  ///< of the machine; empty: the only one that runs
  migration::Place to;
  std::string tls;  ///< a folder, by its full name; empty: plain
  unsigned down_time_ms = 300;
  bool converge = true, post_copy = false, copy_disks = false;
  std::optional<unsigned> rounds;  ///< of post_copy; nothing: until they do not help
};

struct ReceiveRequest {
  migration::Place at;
  std::string tls;
  std::vector<machine::Arrival::Renamed> disks;
  std::string
      variables;        ///< the file for UEFI's, by its full name; empty: it is called as where it comes from
  SessionText session;  ///< whether it fits is known when the machine is
};

}  // namespace eidolon::control
