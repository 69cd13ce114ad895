// What stands between firmware and a system: GRUB's shell, iPXE from its own disc, and a program for UEFI.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

class Loaders : public ScreenTest {
 protected:
  /// A file with this text; its path.
  std::string text_file(const std::string& text) {
    const std::string path = directory + "/text" + std::to_string(++files_);
    std::ofstream(path) << text;
    return path;
  }
  /// A disk that is one FAT file system with copies of these files: (path here, path there).
  std::string fat_disk(const std::vector<std::pair<std::string, std::string>>& files) {
    const std::string disk = directory + "/fat.img";
    std::ofstream(disk).close();
    std::filesystem::resize_file(disk, 96 << 20);
    std::string script = "export PATH=$PATH:/sbin:/usr/sbin; set -e; mkfs.vfat " + disk +
                         " >/dev/null; mmd -i " + disk + " ::EFI ::EFI/BOOT ::loader ::loader/entries; ";
    for (const auto& [from, to] : files) script += "mcopy -i " + disk + " '" + from + "' '::" + to + "'; ";
    EXPECT_EQ(std::system(script.c_str()), 0) << "run scripts/dependencies.sh disk";
    return disk;
  }

 private:
  int files_ = 0;
};

TEST_F(Loaders, GrubsShellAnswersKeys) {
  require_guest({"debian-12.raw"}, "scripts/make_disk.sh");
  if (IsSkipped() || HasFatalFailure()) return;
  GuestProcess guest(
      {"run", "--name", "screen", "--firmware", "bios", "--disk", guest_file("debian-12.raw") + ",snapshot"});
  ASSERT_TRUE(guest.wait_for("GNU GRUB", kBootLimit)) << guest.tail();
  EXPECT_EQ(ask("keys c"), 0);
  ASSERT_TRUE(shows("grub>", kCommandLimit)) << last;
  // No more than the 15 keys that a BIOS remembers.
  EXPECT_EQ(ask("keys --text \"echo gr''een\\n\""), 0);
  EXPECT_TRUE(shows("green", kCommandLimit)) << last;
  EXPECT_EQ(ask("keys --text 'halt\\n'"), 0);
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
}

TEST_F(Loaders, IpxeStartsFromItsDisc) {
  require_guest({"ipxe.iso"}, "scripts/fetch_tools.sh");
  if (IsSkipped() || HasFatalFailure()) return;
  const GuestProcess guest({"run", "--name", "screen", "--firmware", "bios", "--cdrom",
                            guest_file("ipxe.iso"), "--net", "user", "--serial", "null"});
  ASSERT_TRUE(shows("Open Source Network Boot Firmware", kBootLimit)) << last;
  // By itself it looks for something to boot on the network: its own driver, DHCP from ours.
  EXPECT_TRUE(shows(" gw 1", kCommandLimit)) << last;
  EXPECT_EQ(ask("stop"), 0);
}

TEST_F(Loaders, MemtestForUefiFindsNoError) {
  require_guest({"memtest86+x64.efi"}, "scripts/fetch_tools.sh");
  if (IsSkipped() || HasFatalFailure()) return;
  const std::string disk =
      fat_disk({{guest_file("memtest86+x64.efi"), "memtest.efi"},
                {text_file("fs0:\r\nmemtest.efi console=ttyS0,115200\r\n"), "startup.nsh"}});
  GuestProcess guest({"run", "--firmware", "uefi", "--disk", disk, "--memory", "128M"});
  ASSERT_TRUE(guest.wait_for_any({"#4  [", "#5  [", "#6  [", "#7  [", "#8  [", "#9  [", "#10 ["}, kBootLimit))
      << guest.tail();
  EXPECT_TRUE(guest.wait_for("Errors: 0", kCommandLimit)) << guest.tail();
}

TEST_F(Loaders, SystemdBootStartsLinux) {
  require_guest({"systemd-bootx64.efi", "vmlinuz", "initrd"}, "scripts/fetch_tools.sh");
  if (IsSkipped() || HasFatalFailure()) return;
  const std::string entry = "title Linux\nlinux /vmlinuz\ninitrd /initrd\noptions console=ttyS0 quiet\n";
  const std::string disk = fat_disk({{guest_file("systemd-bootx64.efi"), "EFI/BOOT/BOOTX64.EFI"},
                                     {guest_file("vmlinuz"), "vmlinuz"},
                                     {guest_file("initrd"), "initrd"},
                                     {text_file(entry), "loader/entries/linux.conf"}});
  GuestProcess guest({"run", "--firmware", "uefi", "--disk", disk + ",if=nvme"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "[ -d /sys/firmware/efi ] && echo by uefi $((6 * 7))", "by uefi 42");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
