// What stands between firmware and a system: GRUB's shell, iPXE from its own disc, and a program for UEFI.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

class Loaders : public ScreenTest {};

TEST_F(Loaders, GrubsShellAnswersBothKeyboards) {
  require_guest({"debian-12.raw"}, "scripts/make_disk.sh");
  GuestProcess guest(
      {"run", "--name", "screen", "--firmware", "bios", "--disk", guest_file("debian-12.raw") + ",snapshot"});
  ASSERT_TRUE(guest.wait_for("GNU GRUB", kBootLimit)) << guest.tail();
  guest.type("c");
  // The serial port has GRUB's text and the BIOS's copy of it: only the screen can be read.
  ASSERT_TRUE(shows("grub>", kCommandLimit)) << last;
  guest.type("set a=by; echo $a serial\r");
  EXPECT_TRUE(shows("by serial", kCommandLimit)) << last;
  // No more than the 15 keys that a BIOS remembers.
  EXPECT_EQ(ask("keys --text 'echo $a keys\\n'"), 0);
  EXPECT_TRUE(shows("by keys", kCommandLimit)) << last;
  guest.type("halt\r");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
}

TEST_F(Loaders, IpxeStartsFromItsDisc) {
  require_guest({"ipxe.iso"}, "scripts/fetch_tools.sh");
  const GuestProcess guest({"run", "--name", "screen", "--firmware", "bios", "--cdrom",
                            guest_file("ipxe.iso"), "--net", "user", "--serial", "null"});
  ASSERT_TRUE(shows("Open Source Network Boot Firmware", kBootLimit)) << last;
  // By itself it looks for something to boot on the network: its own driver, DHCP from ours.
  EXPECT_TRUE(shows(" gw 1", kCommandLimit)) << last;
  EXPECT_EQ(ask("stop"), 0);
}

TEST_F(Loaders, MemtestForUefiFindsNoError) {
  require_guest({"memtest86+x64.efi"}, "scripts/fetch_tools.sh");
  const std::string disk = directory + "/fat.img", script = directory + "/startup.nsh";
  std::ofstream(disk).close();
  std::filesystem::resize_file(disk, 32 << 20);
  std::ofstream(script) << "fs0:\r\nmemtest.efi console=ttyS0,115200\r\n";
  const std::string make = "PATH=$PATH:/sbin:/usr/sbin; mkfs.vfat " + disk + " >/dev/null && mcopy -i " +
                           disk + " " + guest_file("memtest86+x64.efi") + " ::/memtest.efi && mcopy -i " +
                           disk + " " + script + " ::";
  ASSERT_EQ(std::system(make.c_str()), 0) << "run scripts/dependencies.sh disk";
  GuestProcess guest({"run", "--name", "screen", "--firmware", "uefi", "--disk", disk, "--memory", "128M"});
  ASSERT_TRUE(guest.wait_for_any({"#4  [", "#5  [", "#6  [", "#7  [", "#8  [", "#9  [", "#10 ["}, kBootLimit))
      << guest.tail();
  ASSERT_TRUE(guest.wait_for("Errors: 0", kCommandLimit)) << guest.tail();
  EXPECT_EQ(ask("stop"), 0);
}

}  // namespace
}  // namespace eidolon::boot_test
