// What `eidolon switch` was asked for.
#pragma once

#include <string>

namespace eidolon::control {

struct SwitchRequest {
  std::string path;  ///< of the socket
};

}  // namespace eidolon::control
