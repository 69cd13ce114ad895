// A command for a running machine, as it was typed.
#pragma once

#include <string>

namespace eidolon::control {

struct AskRequest {
  std::string name;     ///< of the machine; empty: the only one that runs
  std::string command;  ///< "status", "screenshot" ...
  std::string request;  ///< the line for its control socket
  std::string file;     ///< of a screenshot
};

}  // namespace eidolon::control
