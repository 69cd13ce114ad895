// The screen and the keyboard of a guest, as a user at another terminal has them: by the control socket.
#include <gtest/gtest.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "boot/os/guest_process.h"
#include "device/display/font.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBootLimit = 400s;
constexpr unsigned kCellHeight = 16;

/// Runs `eidolon` with arguments; its status.
int ask(const std::string& arguments) {
  const int status = std::system((std::string(EIDOLON_PROGRAM) + " " + arguments + " 2>/dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

using Glyph = std::array<uint8_t, kCellHeight>;

Glyph glyph_of(unsigned character) {
  Glyph glyph;
  std::copy_n(device::display::kFont8x16.begin() + character * kCellHeight, kCellHeight, glyph.begin());
  return glyph;
}

/// The character whose glyph is most like this one, for guests have fonts of their own; '?' if none is.
char character_of(const Glyph& glyph) {
  constexpr int kMostDots = 24;
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

/// The picture's cells looked up in the font.
std::string read_text(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return {};
  image.format = PNG_FORMAT_GRAY;
  std::vector<uint8_t> dots(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, dots.data(), 0, nullptr) == 0) return {};
  const unsigned cell_width = image.width == 720 ? 9 : 8;  // a text mode has nine dots
  const unsigned columns = image.width / cell_width, rows = image.height / kCellHeight;

  std::string text;
  for (unsigned cell_row = 0; cell_row < rows; ++cell_row, text += '\n') {
    for (unsigned column = 0; column < columns; ++column) {
      Glyph glyph{};
      for (unsigned row = 0; row < kCellHeight; ++row)
        for (unsigned x = 0; x < 8; ++x)
          if (dots[(cell_row * kCellHeight + row) * image.width + column * cell_width + x] > 0x40)
            glyph[row] |= static_cast<uint8_t>(0x80u >> x);
      text += character_of(glyph);
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

/// SeaBIOS makes the screen ready by the adapter's expansion ROM, and a boot sector has INT 10h and 16h.
TEST_F(Screen, ShowsTheBiosAndWhatABootSectorWrites) {
  if (!std::filesystem::exists("/usr/share/seabios/vgabios-stdvga.bin")) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "there is no video BIOS";
    GTEST_SKIP() << "there is no video BIOS; run scripts/dependencies.sh test";
  }
  const unsigned char code[] = {
      0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x80, 0x7c,  // xor ax, ax; mov ds, ax; mov si, 0x7c80
      0xac, 0x84, 0xc0, 0x74, 0x09,              // 1: lodsb; test al, al; jz 2f
      0xb4, 0x0e, 0xbb, 0x07, 0x00, 0xcd, 0x10,  // mov ah, 0xe; mov bx, 7; int 0x10
      0xeb, 0xf2,                                // jmp 1b
      0xb4, 0x00, 0xcd, 0x16,                    // 2: mov ah, 0; int 0x16
      0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf6};       // mov ah, 0xe; int 0x10; jmp 2b
  std::string sector(reinterpret_cast<const char*>(code), sizeof code);
  sector.resize(0x80);
  sector += "a boot sector writes. Keys: ";
  sector.resize(510);
  sector += "\x55\xaa";
  const std::string disk = directory + "/disk.img";
  std::ofstream(disk, std::ios::binary) << sector;
  std::filesystem::resize_file(disk, 1 << 20);
  GuestProcess guest({"run", "--name", "screen", "--disk", disk, "--serial", "null"});
  ASSERT_TRUE(shows("a boot sector writes. Keys:", 60s)) << last << guest.errors();
  EXPECT_NE(last.find("SeaBIOS (version "), std::string::npos) << last;
  EXPECT_NE(last.find("Booting from Hard Disk..."), std::string::npos) << last;
  EXPECT_EQ(ask("keys --text 'Hello [1]'"), 0);
  EXPECT_TRUE(shows("Keys: Hello [1]", 60s)) << last;
  EXPECT_EQ(ask("stop"), 0);
}

/// Linux' driver for the adapter takes the size from the EDID and draws in the linear frame buffer.
TEST_F(Screen, ShowsAConsoleThatIsDrawnInTheFrameBuffer) {
  if (!std::filesystem::exists(EIDOLON_GUEST "/initrd-drivers")) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest with drivers";
    GTEST_SKIP() << "no guest with drivers; run scripts/fetch_drivers.sh";
  }
  GuestProcess guest({"run", "--name", "screen", "--kernel", EIDOLON_GUEST "/vmlinuz", "--initrd",
                      EIDOLON_GUEST "/initrd-drivers", "--append",
                      "console=tty0 quiet no_timer_check rdinit=/drivers/init drivers=screen"});
  ASSERT_TRUE(shows("eidolon:/root#", kBootLimit)) << last << guest.errors();
  EXPECT_EQ(std::ranges::count(last, '\n'), 800 / kCellHeight) << "the size that the monitor prefers";
  EXPECT_EQ(ask("keys --text 'cat /sys/class/graphics/fb*/name\n'"), 0);
  EXPECT_TRUE(shows("bochs-drm", 60s)) << last;
  EXPECT_EQ(ask("stop"), 0);
}

TEST_F(Screen, ShowsTheConsoleAndTakesKeys) {
  GuestProcess guest({"run", "--name", "screen", "--kernel", EIDOLON_GUEST "/vmlinuz", "--initrd",
                      EIDOLON_GUEST "/initrd", "--append", "console=tty0 quiet no_timer_check", "--engine",
                      "translate"});
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
