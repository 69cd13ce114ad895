// Debian's drivers on transitional devices: by the modern interface, as they prefer it, and by the legacy
// one, which they can be told to use.
#include <gtest/gtest.h>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

class Transitional : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  /// Whether the driver of the first disk has agreed to VIRTIO_F_VERSION_1, bit 32.
  static void expect_version_1(GuestProcess& guest, const std::string& bit) {
    expect_answer(guest, "echo version $(cut -c 33 /sys/block/vda/device/features)",
                  "version " + bit + "\r\n");
  }
};

TEST_F(Transitional, ADiskIsReadAndWrittenByTheLegacyInterfaceAndAcrossASnapshot) {
  const DiskImage image(16 << 20);
  image.write(8192, "from the host");
  const std::string snapshot = directory + "/snap";
  {
    GuestProcess guest({"run", "--name", "old", "--virtio", "transitional", "--kernel", guest_file("vmlinuz"),
                        "--initrd", guest_file("initrd-drivers"), "--append",
                        "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate",
                        "--disk", image.path(), "--net", "user", "--console",
                        "file:" + directory + "/console"});
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
    expect_version_1(guest, "1");
    expect_answer(guest, "dd if=/dev/vda bs=4096 skip=2 count=1 2>/dev/null | head -c 13", "from the host");

    expect_answer(guest, "rmmod virtio_pci; insmod /drivers/virtio_pci.ko force_legacy=1; echo status $?",
                  "status 0");
    expect_version_1(guest, "0");
    expect_answer(guest, "grep -c 'virtio-pci-legacy' /proc/ioports", "5\r\n");
    expect_answer(guest, "dd if=/dev/vda bs=4096 skip=2 count=1 2>/dev/null | head -c 13", "from the host");
    expect_answer(
        guest,
        "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; seq 1 5 >/mnt/file; sync; "
        "wc -l < /mnt/file",
        "5\r\n");
    expect_answer(guest, "dd if=/dev/hwrng bs=64 count=4 iflag=fullblock 2>/dev/null | wc -c", "256\r\n");
    expect_answer(guest, "echo over hvc0 >/dev/hvc0; echo status $?", "status 0");
    expect_answer(guest, "udhcpc -i eth0 -n -q -s /drivers/dhcp 2>&1", "lease of 10.0.2.15 obtained");
    ASSERT_EQ(ask("snapshot --name old --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", snapshot, "--name", "old"});
  guest.type("\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.errors();
  expect_answer(guest, "seq 1 7 >/mnt/other; umount /mnt; mount -t ext4 /dev/vda /mnt; cat /mnt/* | wc -l",
                "12\r\n");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
