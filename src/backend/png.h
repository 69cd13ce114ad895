// A picture as a PNG file (by libpng).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "device/display/surface.h"

namespace eidolon::backend {

[[nodiscard]] Result<std::vector<uint8_t>> encode_png(const device::display::Surface& surface);

}  // namespace eidolon::backend
