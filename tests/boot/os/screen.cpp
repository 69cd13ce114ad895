#include "boot/os/screen.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "device/display/font.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kTextModeWidth = 720, kCellHeight = 16;

using Glyph = std::array<uint8_t, kCellHeight>;

Glyph glyph_of(unsigned character) {
  Glyph glyph;
  std::copy_n(device::display::kFont8x16.begin() + character * kCellHeight, kCellHeight, glyph.begin());
  return glyph;
}

/// The character whose glyph is most like this one, for guests have fonts of their own; '?' if none is.
char character_of(const Glyph& glyph) {
  constexpr int kMostDots = 24;
  if (glyph == Glyph{}) return ' ';
  int least = kMostDots + 1;
  char best = '?';
  for (unsigned character = 0x20; character < 0x7f; ++character) {
    const Glyph other = glyph_of(character);
    int different = 0;
    for (unsigned row = 0; row < kCellHeight; ++row)
      different += std::popcount(static_cast<unsigned>(glyph[row] ^ other[row]));
    if (different >= least) continue;
    least = different;
    best = static_cast<char>(character);
  }
  return best;
}

}  // namespace

int ask(const std::string& arguments) {
  const int status = std::system((std::string(EIDOLON_PROGRAM) + " " + arguments + " 2>/dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string read_text(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return {};
  image.format = PNG_FORMAT_GRAY;
  std::vector<uint8_t> dots(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, dots.data(), 0, nullptr) == 0) return {};

  const unsigned cell_width = image.width == kTextModeWidth ? 9 : 8;
  std::string text;
  for (unsigned top = 0; top + kCellHeight <= image.height; top += kCellHeight, text += '\n') {
    for (unsigned left = 0; left + cell_width <= image.width; left += cell_width) {
      Glyph glyph{};
      for (unsigned row = 0; row < kCellHeight; ++row)
        for (unsigned x = 0; x < 8; ++x)
          if (dots[(top + row) * image.width + left + x] > 0x40)
            glyph[row] |= static_cast<uint8_t>(0x80u >> x);
      text += character_of(glyph);
    }
  }
  return text;
}

void ScreenTest::SetUp() {
  std::string pattern = "/tmp/eidolon-screen-XXXXXX";
  directory = mkdtemp(pattern.data());
  setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
}

void ScreenTest::TearDown() {
  // A monitor that is about to end takes its socket away meanwhile: then once more.
  std::error_code error;
  for (int attempts = 0; attempts < 10; ++attempts) {
    std::filesystem::remove_all(directory, error);
    if (!error) return;
  }
  ADD_FAILURE() << directory << ": " << error.message();
}

bool ScreenTest::shows(const std::string& text, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const std::string file = directory + "/screen.png";
  while (std::chrono::steady_clock::now() < deadline) {
    if (ask("screenshot --name screen " + file) == 0) last = read_text(file);
    if (last.find(text) != std::string::npos) return true;
    std::this_thread::sleep_for(300ms);
  }
  return false;
}

}  // namespace eidolon::boot_test
