// A guest whose disk another process serves: QEMU's storage daemon, which is killed in the middle of writes
// and started again.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"
#include "boot/os/vhost_daemon.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class ServedDevices : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  [[nodiscard]] static std::vector<std::string> options(const std::string& device,
                                                        const std::string& drivers = "") {
    return {"run",
            "--name",
            "served",
            "--kernel",
            guest_file("vmlinuz"),
            "--initrd",
            guest_file("initrd-drivers"),
            "--append",
            "console=ttyS0 quiet no_timer_check rdinit=/drivers/init " + drivers,
            "--engine",
            "translate",
            "--cpus",
            "2",
            device,
            "vhost-user:" + path()};
  }
  [[nodiscard]] static std::string path() { return testing::TempDir() + "eidolon-served.socket"; }
};

/// The monitor says it on standard error, at last.
bool told(GuestProcess& guest, std::string_view text) {
  for (int tries = 0; tries < 60; ++tries) {
    if (guest.errors().find(text) != std::string::npos) return true;
    (void)guest.wait_for("no guest writes this", 1s);
  }
  return false;
}

TEST_F(ServedDevices, ADiskKeepsItsDataWhenTheDaemonIsKilledAndComesBack) {
  if (!fs::exists("/usr/bin/qemu-storage-daemon"))
    GTEST_SKIP() << "there is no qemu-storage-daemon; install qemu-system-common";
  const DiskImage image(256 << 20);
  Daemon daemon(storage_daemon(image.path(), path()), path());
  ASSERT_NO_FATAL_FAILURE(daemon.start());
  {
    GuestProcess guest(options("--disk"));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "cat /sys/block/vda/size; ls /sys/block/vda/mq | wc -l", "524288\r\n2\r\n");
    expect_answer(guest, "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; echo $?",
                  "0\r\n");
    expect_answer(guest, "seq 1 3000000 > /mnt/before; sync; echo synced $((6 * 7))", "synced 42");

    guest.type(
        "for i in $(seq 8); do dd if=/mnt/before of=/mnt/copy$i bs=64k conv=fsync 2>/dev/null; echo "
        "copy-$i-is-there; "
        "done; echo copied $((6 * 7))\n");
    ASSERT_TRUE(guest.wait_for("copy-1-is-there", kCommandLimit)) << guest.tail();
    daemon.kill();
    ASSERT_TRUE(told(guest, "serves the disk no more")) << guest.errors();
    GuestProcess refused({"snapshot", "--name", "served", directory + "/snap"});
    EXPECT_EQ(refused.wait_for_end(kEndLimit), 1);
    EXPECT_NE(refused.errors().find("vhost-user"), std::string::npos) << refused.errors();
    GuestProcess stays({"migrate", "--name", "served", "unix:" + directory + "/nowhere"});
    EXPECT_EQ(stays.wait_for_end(kEndLimit), 1);
    EXPECT_NE(stays.errors().find("vhost-user"), std::string::npos) << stays.errors();

    ASSERT_NO_FATAL_FAILURE(daemon.start());
    ASSERT_TRUE(told(guest, "is there again")) << guest.errors();
    ASSERT_TRUE(guest.wait_for("copied 42", kCommandLimit)) << guest.tail();
    EXPECT_EQ(guest.output().find("I/O error"), std::string::npos) << guest.tail();
    expect_answer(
        guest,
        "umount /mnt; echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 /dev/vda /mnt; seq 1 3000000 | "
        "sha256sum > /tmp/right; for i in /mnt/*[0-9e]; do sha256sum < $i | cmp - /tmp/right && echo "
        "right; done | wc -l",
        "9\r\n");
    // A machine that starts again is another client of the daemon's.
    guest.type("umount /mnt; reboot -f\n");
    ASSERT_TRUE(told(guest, "starting again")) << guest.errors();
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "mkdir /mnt; mount -t ext4 /dev/vda /mnt; tail -n 1 /mnt/copy8; umount /mnt",
                  "3000000\r\n");
    power_off(guest);
  }
  // On the host's image, as a disk of the monitor's own.
  daemon.kill();
  const std::string check = "e2fsck -fn " + image.path() + " >&2";
  EXPECT_EQ(std::system(check.c_str()), 0);
}

TEST_F(ServedDevices, AFolderIsReadAndWritten) {
  constexpr const char* kServer = "/usr/lib/qemu/virtiofsd";
  if (!fs::exists(kServer)) GTEST_SKIP() << "there is no virtiofsd; install qemu-system-common of Debian 12";
  if (geteuid() != 0) GTEST_SKIP() << "virtiofsd needs root";
  const std::string folder = directory + "/folder";
  fs::create_directory(folder);
  std::ofstream(folder + "/text") << "from the host\n";
  Daemon daemon({kServer, "--socket-path=" + path(), "-o", "source=" + folder}, path());
  ASSERT_NO_FATAL_FAILURE(daemon.start());
  GuestProcess guest(options("--share", "drivers=share"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "mkdir /w; mount -t virtiofs share /w && cat /w/text", "from the host");
  expect_answer(guest, "seq 300000 > /w/numbers; echo 3 > /proc/sys/vm/drop_caches; tail -n 1 /w/numbers",
                "300000\r\n");
  EXPECT_EQ(fs::file_size(folder + "/numbers"), 1'988'895u);
  daemon.kill();
  ASSERT_TRUE(told(guest, "serves the shared folder no more")) << guest.errors();
  ASSERT_NO_FATAL_FAILURE(daemon.start());
  ASSERT_TRUE(told(guest, "is there again")) << guest.errors();
  expect_answer(guest, "cat /w/none; umount /w; mount -t virtiofs share /w && cat /w/text", "from the host");
  power_off(guest);
}

TEST_F(ServedDevices, AMissingBackEndIsOneSentence) {
  GuestProcess guest(options("--disk"));
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 2);
  EXPECT_NE(guest.errors().find("nobody serves vhost-user at '" + path()), std::string::npos)
      << guest.errors();
}

TEST_F(ServedDevices, OptionsOfAnImageAreRefused) {
  GuestProcess guest({"run", "--disk", "vhost-user:" + path() + ",readonly"});
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 2);
  EXPECT_NE(guest.errors().find("leave out what follows the socket"), std::string::npos) << guest.errors();
}

}  // namespace
}  // namespace eidolon::boot_test
