// The screen and the keyboard of a guest, as a user at another terminal has them: by the control socket.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "boot/os/guest_process.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

class Screen : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  }
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
  EXPECT_EQ(std::ranges::count(last, '\n'), 800 / 16) << "the size that the monitor prefers";
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
