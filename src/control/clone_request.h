// What `eidolon clone` is asked to do.
#pragma once

#include <string>
#include <vector>

#include "backend/published_port.h"

namespace eidolon::control {

struct CloneRequest {
  std::string name;  ///< of the machine; empty: the only one that runs
  unsigned count = 1;
  bool stop = false;                              ///< the machine itself ends
  std::vector<backend::PublishedPort> published;  ///< of the first copy; the next one has the next ports
  std::string logs;  ///< a folder for what the copies write to their serial ports; empty: it is forgotten
};

}  // namespace eidolon::control
