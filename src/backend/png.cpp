#include "backend/png.h"

#include <png.h>

#include <cstring>

namespace eidolon::backend {

Result<std::vector<uint8_t>> encode_png(const device::display::Surface& surface) {
  if (surface.width == 0 || surface.height == 0) return fail("there is no picture yet; try again");
  std::vector<uint8_t> rgb;
  rgb.reserve(surface.pixels.size() * 3);
  for (const uint32_t pixel : surface.pixels)
    for (const unsigned shift : {16u, 8u, 0u}) rgb.push_back(static_cast<uint8_t>(pixel >> shift));

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = surface.width;
  image.height = surface.height;
  image.format = PNG_FORMAT_RGB;
  image.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<uint8_t> file(size);
  if (png_image_write_to_memory(&image, file.data(), &size, 0, rgb.data(), 0, nullptr) == 0)
    return fail("the picture cannot be written as PNG ({})", image.message);
  file.resize(size);
  return file;
}

}  // namespace eidolon::backend
