// The screen and the keyboard of a guest, as a user at another terminal has them: by the control socket.
#include <gtest/gtest.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "boot/os/guest_process.h"
#include "device/display/font.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBootLimit = 400s;
constexpr unsigned kColumns = 80, kRows = 25, kCellWidth = 9, kCellHeight = 16;

/// Runs `eidolon` with arguments; its status.
int ask(const std::string& arguments) {
  const int status = std::system((std::string(EIDOLON_PROGRAM) + " " + arguments + " 2>/dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The picture's cells looked up in the font: no glyph, no character.
std::string read_text(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return {};
  image.format = PNG_FORMAT_GRAY;
  std::vector<uint8_t> dots(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, dots.data(), 0, nullptr) == 0) return {};
  if (image.width != kColumns * kCellWidth || image.height != kRows * kCellHeight) return {};

  using Glyph = std::array<uint8_t, kCellHeight>;
  std::map<Glyph, char> characters;
  for (unsigned character = 0x20; character < 0x7f; ++character) {
    Glyph glyph;
    for (unsigned row = 0; row < kCellHeight; ++row)
      glyph[row] = device::display::kFont8x16[character * kCellHeight + row];
    characters[glyph] = static_cast<char>(character);
  }
  std::string text;
  for (unsigned cell_row = 0; cell_row < kRows; ++cell_row, text += '\n') {
    for (unsigned column = 0; column < kColumns; ++column) {
      Glyph glyph{};
      for (unsigned row = 0; row < kCellHeight; ++row)
        for (unsigned x = 0; x < 8; ++x)
          if (dots[(cell_row * kCellHeight + row) * image.width + column * kCellWidth + x] > 0x40)
            glyph[row] |= static_cast<uint8_t>(0x80u >> x);
      const auto found = characters.find(glyph);
      text += found == characters.end() ? '?' : found->second;
    }
  }
  return text;
}

class Screen : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(EIDOLON_GUEST "/initrd")) {
      if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest in " << EIDOLON_GUEST;
      GTEST_SKIP() << "no guest; run scripts/fetch_guest.sh";
    }
    std::string pattern = "/tmp/eidolon-screen-XXXXXX";
    directory = mkdtemp(pattern.data());
    setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  /// Takes pictures until `text` is on one of them.
  bool shows(const std::string& text, std::chrono::seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const std::string file = directory + "/screen.png";
    while (std::chrono::steady_clock::now() < deadline) {
      if (ask("screenshot --name screen " + file) == 0) last = read_text(file);
      if (last.find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(300ms);
    }
    return false;
  }

  std::string directory;
  std::string last;
};

TEST_F(Screen, ShowsTheConsoleAndTakesKeys) {
  GuestProcess guest({"run", "--name", "screen", "--kernel", EIDOLON_GUEST "/vmlinuz", "--initrd",
                      EIDOLON_GUEST "/initrd", "--append", "console=tty0 quiet no_timer_check", "--engine", "translate"});
  ASSERT_TRUE(shows("eidolon:/root#", kBootLimit)) << last << guest.errors();
  struct stat found {};
  ASSERT_EQ(stat((directory + "/eidolon/screen.sock").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);

  EXPECT_EQ(ask("keys --text 'echo \"Keys: $((6*7)) <{[|]}> ~^\"\\n'"), 0);
  EXPECT_TRUE(shows("Keys: 42 <{[|]}> ~^", 60s)) << last;
  EXPECT_EQ(ask("keys hyper"), 1);

  EXPECT_EQ(ask("pause"), 0);
  EXPECT_EQ(ask("keys --text 'echo again $((5*5))\\n'"), 0);
  EXPECT_FALSE(shows("again 25", 2s)) << "it is paused";
  EXPECT_EQ(ask("resume"), 0);
  EXPECT_TRUE(shows("again 25", 60s)) << last;

  EXPECT_EQ(ask("keys --text 'poweroff -f\\n'"), 0);
  EXPECT_EQ(guest.wait_for_end(60s), 0);
  EXPECT_NE(stat((directory + "/eidolon/screen.sock").c_str(), &found), 0) << "the socket is removed";
  EXPECT_EQ(ask("status --name screen"), 1);
}

}  // namespace
}  // namespace eidolon::boot_test
