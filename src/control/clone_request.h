// What `eidolon clone` is asked to do.
#pragma once

#include <string>

namespace eidolon::control {

struct CloneRequest {
  std::string name;  ///< of the machine; empty: the only one that runs
  unsigned count = 1;
  bool stop = false;  ///< the machine itself ends
  std::string logs;   ///< a folder for what the copies write to their serial ports; empty: it is forgotten
};

}  // namespace eidolon::control
