// A disk with Debian 12 as it is installed on a PC (scripts/make_disk.sh: GPT, GRUB, ext4), started by
// SeaBIOS and by OVMF from each kind of disk controller. Each machine is killed after its guest has synced a
// file, and the next one, with other firmware and another controller, finds the file.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

constexpr const char* kRootPrompt = "root@eidolon:~# ";

struct Start {
  std::string firmware;
  std::string interface;
};

class DebianDisk : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"debian-12.raw"}, "scripts/make_disk.sh");
  }

  /// Starts the machine, looks at its screen, and logs in on the serial port.
  void log_in(GuestProcess& guest, const Start& start) {
    ASSERT_TRUE(guest.wait_for("eidolon login:", kBootLimit)) << guest.tail();
    EXPECT_TRUE(shows("eidolon login:", kCommandLimit)) << last;
    guest.type("root\n");
    ASSERT_TRUE(guest.wait_for("Password:", kCommandLimit)) << guest.tail();
    guest.type("eidolon\n");
    ASSERT_TRUE(guest.wait_for(kRootPrompt, kCommandLimit)) << guest.tail();
    expect_answer(guest, "[ -d /sys/firmware/efi ] && echo by uefi || echo by bios",
                  "by " + start.firmware + "\r\n", kRootPrompt);
    expect_answer(guest, "dmesg | grep -c -E 'EXT4-fs error|I/O error|BUG:|Oops|WARNING: CPU'", "0\r\n",
                  kRootPrompt);
  }

  void boot_each(const std::string& image, const std::vector<Start>& starts) {
    for (size_t i = 0; i < starts.size(); ++i) {
      const Start& start = starts[i];
      SCOPED_TRACE(start.firmware + " from " + start.interface);
      GuestProcess guest({"run", "--name", "screen", "--firmware", start.firmware, "--memory", "512M",
                          "--disk", image + ",if=" + start.interface});
      ASSERT_NO_FATAL_FAILURE(log_in(guest, start));
      if (i > 0) {
        expect_answer(guest, "cat number", std::to_string(i) + "00\r\n", kRootPrompt);
      }
      expect_answer(guest,
                    "echo $((" + std::to_string(i + 1) + " * 100)) > number; sync; echo $((6 * 7)) synced",
                    "42 synced", kRootPrompt);
      if (i + 1 < starts.size()) {
        guest.send_signal(SIGKILL);
        EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
      } else {
        guest.type("poweroff\n");
        EXPECT_EQ(guest.wait_for_end(kCommandLimit), 0) << guest.tail();
      }
    }
  }
};

TEST_F(DebianDisk, RawStartsFromEveryController) {
  const std::string image = directory + "/disk.raw";
  // With its holes.
  ASSERT_EQ(std::system(("cp --sparse=always " + guest_file("debian-12.raw") + " " + image).c_str()), 0);
  boot_each(image,
            {{"bios", "ide"}, {"uefi", "ahci"}, {"bios", "nvme"}, {"uefi", "virtio"}, {"bios", "scsi"}});
}

TEST_F(DebianDisk, Qcow2StartsFromEveryController) {
  const std::string image = directory + "/disk.qcow2";
  ASSERT_EQ(ask("image create --format qcow2 --backing " + guest_file("debian-12.raw") +
                " --backing-format raw " + image),
            0);
  boot_each(image,
            {{"uefi", "ide"}, {"bios", "ahci"}, {"uefi", "nvme"}, {"bios", "virtio"}, {"uefi", "scsi"}});
  EXPECT_EQ(ask("image check " + image), 0) << "nothing is lost or used twice, killed or not";
}

}  // namespace
}  // namespace eidolon::boot_test
