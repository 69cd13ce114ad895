// Debian's nvme driver on the NVMe controller. The guest is that of scripts/fetch_drivers.sh.
#include <gtest/gtest.h>

#include <csignal>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

class DebianNvme : public testing::Test {
 protected:
  void SetUp() override { require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh"); }
  static std::vector<std::string> options(const std::string& disk) {
    return {"run", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file("initrd-drivers"), "--append",
            // The kernel's check of the timer fails on a host that is so busy that ticks get lost.
            "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate", "--disk",
            disk + ",if=nvme"};
  }
};

TEST_F(DebianNvme, WhatWasSyncedOverSeveralQueuesOutlivesAKilledMonitor) {
  const DiskImage image(64 << 20);
  {
    GuestProcess guest(options(image.path()));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "cat /sys/block/nvme0n1/size /sys/class/nvme/nvme0/model", "131072\r\nEidolon NVMe");
    expect_answer(guest, "cat /sys/block/nvme0n1/queue/write_cache", "write back\r\n");
    // One for writes, one for reads, and one without interrupts.
    expect_answer(guest,
                  "rmmod nvme && insmod /drivers/nvme.ko write_queues=1 poll_queues=1; sleep 1; "
                  "cat /sys/class/nvme/nvme0/queue_count; ls /sys/block/nvme0n1/mq | wc -l",
                  "4\r\n3\r\n");
    expect_answer(
        guest,
        "seq 1 300000 | dd of=/dev/nvme0n1 bs=64k iflag=fullblock 2>/dev/null; sync; echo synced $((6 * 7))",
        "synced 42");
    EXPECT_EQ(image.at(0, 12), "1\n2\n3\n4\n5\n6\n") << "in the host's file, while the guest runs";
    expect_answer(guest,
                  "echo 3 > /proc/sys/vm/drop_caches; [ \"$(head -c 1988895 /dev/nvme0n1 | md5sum)\" = "
                  "\"$(seq 1 300000 | md5sum)\" ] && echo read $((6 * 7))",
                  "read 42");
    expect_answer(guest, "grep -c nvme0q /proc/interrupts", "3\r\n");
    expect_answer(guest, "blkdiscard /dev/nvme0n1; head -c 8192 /dev/nvme0n1 | tr -d '\\0' | wc -c", "0\r\n");
    expect_answer(guest,
                  "mke2fs /dev/nvme0n1 >/dev/null; mkdir /mnt; mount -t ext4 /dev/nvme0n1 /mnt; echo $?",
                  "0\r\n");
    expect_answer(guest, "seq 1 1234 > /mnt/file; sync; echo synced $((6 * 7))", "synced 42");
    guest.send_signal(SIGKILL);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  }
  GuestProcess guest(options(image.path() + ",readonly"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "mkdir /mnt; mount -t ext4 -o ro,noload /dev/nvme0n1 /mnt; wc -l < /mnt/file",
                "1234\r\n");
  expect_answer(guest, "cat /sys/block/nvme0n1/ro", "1\r\n");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
