// Debian's own drivers on the devices of the machine: the PCI bus, a virtio disk and random numbers. The guest
// is that of scripts/fetch_drivers.sh.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "boot/os/disk_image.h"
#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBootLimit = 400s;
constexpr auto kCommandLimit = 120s;
constexpr auto kEndLimit = 60s;
constexpr const char* kPrompt = "eidolon:/root# ";

class DebianDevices : public testing::Test {
 protected:
  void SetUp() override {
    const std::string guest = EIDOLON_GUEST;
    if (std::filesystem::exists(guest + "/initrd-drivers")) return;
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest with drivers in " << guest;
    GTEST_SKIP() << "no guest with drivers; run scripts/fetch_drivers.sh";
  }
  static std::vector<std::string> options(std::vector<std::string> more) {
    std::vector<std::string> all = {
        "run", "--kernel", EIDOLON_GUEST "/vmlinuz", "--initrd", EIDOLON_GUEST "/initrd-drivers", "--append",
        // The kernel's check of the timer fails on a host that is so busy that ticks get lost.
        "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// Types a command and waits for `answer`, which the echo of the command must not contain, and the prompt.
  static void expect_answer(GuestProcess& guest, const std::string& command, const std::string& answer) {
    ASSERT_EQ(command.find(answer), std::string::npos);
    guest.type(command + "\n");
    ASSERT_TRUE(guest.wait_for(answer, kCommandLimit)) << "no '" << answer << "' from: " << command << "\n"
                                                       << guest.tail();
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << "no prompt after: " << command << "\n"
                                                        << guest.tail();
  }
  static void end(GuestProcess& guest) {
    guest.type("poweroff -f\n");
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
  }
};

TEST_F(DebianDevices, TheBusIsListedAndTheDiskKeepsWhatWasSynced) {
  const DiskImage image(16 << 20);
  GuestProcess guest(options({"--disk", image.path()}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();

  const std::string ids =
      "for d in /sys/bus/pci/devices/*; do echo $(cat $d/vendor $d/device $d/class); done";
  expect_answer(guest, ids,
                "0x8086 0x29c0 0x060000\r\n0x1af4 0x1044 0x00ff00\r\n0x1234 0x1111 0x030000\r\n0x1af4 0x1042 "
                "0x010000\r\n0x1af4 0x1045 0x00ff00\r\n0x8086 0x2918");
  // The extended part of configuration space is there: the window of PCI Express is used.
  expect_answer(guest, "wc -c < /sys/bus/pci/devices/0000:00:01.0/config", "4096\r\n");
  expect_answer(guest, "grep -c PCI-MSI /proc/interrupts", "9\r\n");
  expect_answer(guest, "dd if=/dev/hwrng bs=64 count=4 iflag=fullblock 2>/dev/null | wc -c", "256\r\n");

  expect_answer(guest, "cat /sys/block/vda/size", "32768\r\n");
  expect_answer(guest, "seq 1 100000 | dd of=/dev/vda bs=4k seek=1 2>/dev/null; sync; echo synced $((6 * 7))",
                "synced 42");
  EXPECT_EQ(image.at(4096, 12), "1\n2\n3\n4\n5\n6\n") << "in the host's file, while the guest runs";
  expect_answer(guest,
                "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=4k skip=1 2>/dev/null | head -c 588895 "
                "| sha256sum",
                "b2bc7d3f8b652d2ec96865b68ad8f80e22cca174abe1aed7889e242a747d590f");
  expect_answer(guest, "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; echo $?",
                "0\r\n");
  expect_answer(guest,
                "seq 1 5 > /mnt/file; sync; umount /mnt; mount -t ext4 /dev/vda /mnt; wc -l < /mnt/file",
                "5\r\n");
  expect_answer(guest, "umount /mnt; blkdiscard /dev/vda; head -c 8192 /dev/vda | tr -d '\\0' | wc -c",
                "0\r\n");
  end(guest);
}

TEST_F(DebianDevices, WhatWasSyncedOutlivesAKilledMonitor) {
  const DiskImage image(16 << 20);
  {
    GuestProcess guest(options({"--disk", image.path()}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; echo $?",
                  "0\r\n");
    expect_answer(guest, "seq 1 1234 > /mnt/file; sync; echo synced $((6 * 7))", "synced 42");
    guest.send_signal(SIGKILL);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  }
  GuestProcess guest(options({"--disk", image.path() + ",readonly"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "mkdir /mnt; mount -t ext4 -o ro,noload /dev/vda /mnt; wc -l < /mnt/file", "1234\r\n");
  expect_answer(guest, "cat /sys/block/vda/ro", "1\r\n");
  end(guest);
}

TEST_F(DebianDevices, AQcow2ImageOverABaseKeepsWhatWasSynced) {
  const DiskImage base(16 << 20);
  const std::string image = base.path() + ".qcow2";
  const auto tool = [](const std::vector<std::string>& arguments) {
    GuestProcess process(arguments);
    EXPECT_EQ(process.wait_for_end(kEndLimit), 0) << process.errors() << process.output();
  };
  tool({"image", "create", "--backing", base.path(), "--size", "64M", image});
  {
    GuestProcess guest(options({"--disk", image}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "cat /sys/block/vda/size", "131072\r\n");
    expect_answer(guest, "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; echo $?",
                  "0\r\n");
    expect_answer(guest, "seq 1 300000 > /mnt/file; rm -f /mnt/none; sync; echo synced $((6 * 7))",
                  "synced 42");
    guest.send_signal(SIGKILL);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  }
  tool({"image", "check", image});
  {
    GuestProcess guest(options({"--disk", image + ",snapshot"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "mkdir /mnt; mount -t ext4 /dev/vda /mnt; wc -l < /mnt/file", "300000\r\n");
    end(guest);
  }
  EXPECT_EQ(base.at(0, 65536), std::string(65536, '\0'));
  std::remove(image.c_str());
}

TEST_F(DebianDevices, ASnapshotLeavesTheImageAlone) {
  const DiskImage image(4 << 20);
  GuestProcess guest(options({"--disk", image.path() + ",snapshot"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest,
                "seq 1 1000 | dd of=/dev/vda 2>/dev/null; sync; echo 3 > /proc/sys/vm/drop_caches; "
                "head -c 3893 /dev/vda | tail -n 1",
                "1000\r\n");
  EXPECT_EQ(image.at(0, 4096), std::string(4096, '\0'));
  end(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
