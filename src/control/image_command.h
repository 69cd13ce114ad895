// `eidolon image`: makes disk images, describes, checks and converts them.
#pragma once

#include "control/image_request.h"

namespace eidolon::control {

/// Prints and returns the exit status.
[[nodiscard]] int image_command(const ImageRequest& request);

}  // namespace eidolon::control
