// Debian's own drivers on the disk controllers of a PC. The guest is that of scripts/fetch_drivers.sh.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

class DebianStorage : public testing::Test {
 protected:
  void SetUp() override { require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh"); }
  static std::vector<std::string> options(std::vector<std::string> more) {
    std::vector<std::string> all = {
        "run", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file("initrd-drivers"), "--append",
        // The kernel's check of the timer fails on a host that is so busy that ticks get lost.
        "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

constexpr const char* kDropCaches = "echo 3 > /proc/sys/vm/drop_caches; ";
/// Of `seq 1 100000`.
constexpr const char* kSequenceHash = "b2bc7d3f8b652d2ec96865b68ad8f80e22cca174abe1aed7889e242a747d590f";

/// A disk is written and read through Linux's block layer, and its contents are in the host's file.
void exercise(GuestProcess& guest, const std::string& disk, const DiskImage& file) {
  expect_answer(guest,
                "seq 1 100000 | dd of=" + disk + " bs=4k seek=1 2>/dev/null; sync; echo synced $((6 * 7))",
                "synced 42");
  EXPECT_EQ(file.at(4096, 12), "1\n2\n3\n4\n5\n6\n") << "in the host's file, while the guest runs";
  expect_answer(guest,
                kDropCaches + ("dd if=" + disk + " bs=4k skip=1 2>/dev/null | head -c 588895 | sha256sum"),
                kSequenceHash);
}

TEST_F(DebianStorage, DisksAndDiscsOnAhciAndIde) {
  const DiskImage sata(16 << 20, "sata"), ide(16 << 20, "ide"), disc(1 << 20, "disc");
  disc.write(300 * 2048, "on the disc");
  GuestProcess guest(options({"--disk", sata.path() + ",if=ahci", "--disk", ide.path() + ",if=ide", "--cdrom",
                              disc.path(), "--cdrom", disc.path() + ",if=ide"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "grep -c -E 'PCI-MSI.*ahci|14-edge.*ata_piix' /proc/interrupts", "2\r\n");
  expect_answer(guest, "cat /sys/block/sda/size /sys/block/sdb/size /sys/block/sr1/size | tr '\\n' ' '",
                "32768 32768 2048 ");
  exercise(guest, "/dev/sda", sata);
  exercise(guest, "/dev/sdb", ide);
  for (const std::string drive : {"/dev/sr0", "/dev/sr1"})
    expect_answer(guest, "dd if=" + drive + " bs=2k skip=300 count=1 2>/dev/null | tr -d '\\0'; echo",
                  "on the disc\r\n");
  expect_answer(guest, "dmesg | grep -c -E 'ata[0-9.]+: (exception|failed|error)'", "0\r\n");
  power_off(guest);
}

TEST_F(DebianStorage, DisksAndADiscOnOneVirtioScsiController) {
  const DiskImage first(16 << 20, "first"), second(32 << 20, "second"), disc(1 << 20, "disc");
  disc.write(300 * 2048, "on the disc");
  GuestProcess guest(options({"--disk", first.path() + ",if=scsi", "--disk", second.path() + ",if=scsi",
                              "--cdrom", disc.path() + ",if=scsi", "--cpus", "2"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  // By their numbers: Linux looks at several units at a time, and names them as it has done.
  expect_answer(guest,
                "cd /sys/bus/scsi/devices; A=/dev/$(ls *:0:0:0/block) B=/dev/$(ls *:0:0:1/block) "
                "C=/dev/$(ls *:0:0:2/block); cd /root; echo $C",
                "/dev/sr0\r\n");
  expect_answer(guest, "cat /sys/block/${A#/dev/}/size /sys/block/${B#/dev/}/size | tr '\\n' ' '",
                "32768 65536 ");
  expect_answer(guest, "cat /sys/class/scsi_disk/*:0:0:0/cache_type /sys/class/scsi_disk/*:0:0:0/FUA",
                "write back\r\n1\r\n");
  expect_answer(guest, "ls -d /sys/block/${A#/dev/}/mq/* | wc -l", "2\r\n");
  exercise(guest, "$A", first);
  exercise(guest, "$B", second);
  expect_answer(guest, "dd if=$C bs=2k skip=300 count=1 2>/dev/null | tr -d '\\0'; echo", "on the disc\r\n");
  expect_answer(guest, "cat /sys/class/scsi_disk/*:0:0:0/provisioning_mode", "unmap\r\n");
  expect_answer(guest, "blkdiscard $A && head -c 8192 $A | tr -d '\\0' | wc -c", "0\r\n");
  expect_answer(guest,
                "echo 'write through' > $(ls -d /sys/class/scsi_disk/*:0:0:1)/cache_type; "
                "cat /sys/class/scsi_disk/*:0:0:1/cache_type",
                "write through\r\n");
  exercise(guest, "$B", second);
  expect_answer(guest, "dmesg | grep -c -E 'sd [0-9:]+.*(FAILED|Sense Key|error)'", "0\r\n");
  power_off(guest);
}

TEST_F(DebianStorage, ADisketteIsReadAndWritten) {
  const DiskImage diskette(1440 << 10, "floppy"), small(720 << 10, "small");
  diskette.write(1000 * 512, "on the diskette");
  small.write(4, "on the smaller one");
  GuestProcess guest(options({"--floppy", diskette.path(), "--floppy", small.path() + ",readonly"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "insmod /drivers/floppy.ko && echo loaded $((6 * 7))", "loaded 42");
  expect_answer(guest, "dd if=/dev/fd0 bs=512 skip=1000 count=1 2>/dev/null | tr -d '\\0'; echo",
                "on the diskette\r\n");
  expect_answer(guest, "dd if=/dev/fd1 bs=512 count=1 2>/dev/null | tr -d '\\0'; echo",
                "on the smaller one\r\n");
  expect_answer(guest, "cat /sys/block/fd0/size /sys/block/fd1/size | tr '\\n' ' '", "2880 1440 ");
  expect_answer(guest,
                "seq 1 9999 | dd of=/dev/fd0 bs=512 seek=100 conv=fsync 2>/dev/null; echo written $((6 * 7))",
                "written 42");
  EXPECT_EQ(diskette.at(100 * 512, 6), "1\n2\n3\n");
  expect_answer(
      guest,
      kDropCaches + std::string("dd if=/dev/fd0 bs=512 skip=100 2>/dev/null | head -c 48888 | tail -n 1"),
      "9999\r\n");
  power_off(guest);
}

TEST_F(DebianStorage, WhatWasSyncedOutlivesAKilledMonitor) {
  const DiskImage sata(16 << 20, "sata"), ide(16 << 20, "ide");
  {
    GuestProcess guest(options({"--disk", sata.path() + ",if=ahci", "--disk", ide.path() + ",if=ide"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    for (const std::string disk : {"sda", "sdb"}) {
      expect_answer(guest,
                    "mke2fs /dev/" + disk + " >/dev/null; mkdir /" + disk + "; mount -t ext4 /dev/" + disk +
                        " /" + disk + "; seq 1 1234 > /" + disk + "/file; sync; echo done $((6 * 7))",
                    "done 42");
    }
    guest.send_signal(SIGKILL);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  }
  GuestProcess guest(
      options({"--disk", sata.path() + ",if=ahci,readonly", "--disk", ide.path() + ",if=ide,snapshot"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  for (const std::string disk : {"sda", "sdb"}) {
    expect_answer(
        guest,
        "mkdir -p /mnt; mount -t ext4 -o ro,noload /dev/" + disk + " /mnt; wc -l < /mnt/file; umount /mnt",
        "1234\r\n");
  }
  // A hard disk cannot say that it is write-protected: the write fails.
  expect_answer(guest,
                "dmesg -n 1; dd if=/dev/zero of=/dev/sda bs=4k count=1; sync; "
                "dmesg | grep -q 'failed command: WRITE' && echo refused $((6 * 7))",
                "refused 42");
  EXPECT_NE(sata.at(1024 + 56, 2), std::string(2, '\0')) << "the file system's mark is still there";
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
