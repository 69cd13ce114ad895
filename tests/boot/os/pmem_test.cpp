// Debian's virtio_pmem: a file of the host as memory of the guest, by its block device and by a file system
// that maps it (DAX), across a snapshot, and one that is only read.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "boot/os/archive.h"
#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class Pmem : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  static std::vector<std::string> options(const std::string& engine, std::vector<std::string> more) {
    std::vector<std::string> all = {"run",
                                    "--kernel",
                                    guest_file("vmlinuz"),
                                    "--initrd",
                                    guest_file("initrd-drivers"),
                                    "--append",
                                    "console=ttyS0 quiet no_timer_check rdinit=/drivers/init drivers=pmem",
                                    "--engine",
                                    engine};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static void write_and_look(const std::string& engine) {
    const DiskImage memory(16 * kMiB);
    memory.write(4096, "from the host");
    GuestProcess guest(options(engine, {"--pmem", memory.path()}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
    expect_answer(guest, "dd if=/dev/pmem0 bs=4096 skip=1 count=1 2>/dev/null | head -c 13", "from the host");
    expect_answer(guest, "echo $(($(cat /sys/block/pmem0/size) / 2))K", "16384K");
    // By the driver's flush: without an answer from the device this would not end.
    expect_answer(
        guest,
        "echo from the guest | dd of=/dev/pmem0 bs=4096 seek=2 conv=notrunc,fsync 2>/dev/null; echo "
        "status $?",
        "status 0");
    EXPECT_EQ(memory.at(8192, 14), "from the guest");
    expect_answer(guest, "awk '/flush_queue/ { print \"flushes:\", ($2 > 0) }' /proc/interrupts",
                  "flushes: 1");
    expect_answer(guest, "dmesg | grep -c e820.*0000000800000000; echo end", "0\r\nend");
    power_off(guest);
  }
};

TEST_F(Pmem, IsTheFile) { write_and_look("translate"); }

TEST_F(Pmem, IsTheFileUnderStep) { write_and_look("step"); }

TEST_F(Pmem, AFileSystemMapsItAndASnapshotLeavesItWhereItIs) {
  const DiskImage memory(32 * kMiB), only_read(4 * kMiB, "only-read");
  only_read.write(0, "as it was");
  const std::string snapshot = directory + "/snap";
  {
    GuestProcess guest(options(
        "translate", {"--name", "pmem", "--pmem", memory.path(), "--pmem", only_read.path() + ",readonly"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
    GuestProcess other(options("translate", {"--pmem", memory.path()}));
    EXPECT_EQ(other.wait_for_end(kEndLimit), 2);
    EXPECT_NE(other.errors().find("in use by another machine"), std::string::npos) << other.errors();

    expect_answer(
        guest,
        "mke2fs -b 4096 /dev/pmem0 >/dev/null; mkdir /mnt; mount -t ext4 -o dax /dev/pmem0 /mnt; grep "
        "-c dax= /proc/mounts",
        "1\r\n");
    expect_answer(guest,
                  "cp /bin/busybox /mnt; echo kept in memory >/mnt/note; sync; /mnt/busybox cat /mnt/note",
                  "kept in memory\r\n");
    expect_answer(guest, "echo changed >/dev/pmem1; sync; head -c 9 /dev/pmem1", "as it was");
    ASSERT_EQ(ask("snapshot --name pmem --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  EXPECT_LT(std::filesystem::file_size(snapshot), 400 * kMiB);
  EXPECT_NE(read_file(memory.path()).find("kept in memory"), std::string::npos);
  {
    GuestProcess guest({"restore", snapshot, "--name", "pmem"});
    guest.type("\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.errors();
    expect_answer(guest, "/mnt/busybox cat /mnt/note; echo after it >>/mnt/note; sync; echo status $?",
                  "kept in memory\r\nstatus 0");
    expect_answer(guest, "head -c 9 /dev/pmem1", "as it was");
    power_off(guest);
  }
  EXPECT_NE(read_file(memory.path()).find("kept in memory\nafter it\n"), std::string::npos);
  memory.write(0, "x");
  GuestProcess again({"restore", snapshot, "--name", "pmem"});
  EXPECT_EQ(again.wait_for_end(kEndLimit), 2);
  EXPECT_NE(again.errors().find("was written after the snapshot"), std::string::npos) << again.errors();
  EXPECT_EQ(only_read.at(0, 9), "as it was");
}

TEST_F(Pmem, AMoveLeavesItToTheOtherSide) {
  const DiskImage memory(16 * kMiB);
  const std::string socket = "unix:" + directory + "/move";
  GuestProcess guest(options("translate", {"--name", "here", "--pmem", memory.path()}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
  expect_answer(guest,
                "mke2fs -b 4096 /dev/pmem0 >/dev/null; mkdir /mnt; mount -t ext4 -o dax /dev/pmem0 /mnt; "
                "echo of before >/mnt/note; echo status $?",
                "status 0");
  GuestProcess there({"receive", socket, "--name", "there", "--engine", "translate"});
  for (int tries = 0; tries < 100 && !std::filesystem::exists(directory + "/move"); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_EQ(ask("migrate " + socket + " --name here"), 0) << guest.errors() << there.errors();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  there.type("\n");
  ASSERT_TRUE(there.wait_for(kPrompt, kCommandLimit)) << there.errors();
  expect_answer(there, "echo of after >>/mnt/note; sync; cat /mnt/note", "of before\r\nof after\r\n");
  power_off(there);
  EXPECT_NE(read_file(memory.path()).find("of before\nof after\n"), std::string::npos);
}

TEST_F(Pmem, AFileThatBecomesShorterEndsTheMachineWithASentence) {
  const DiskImage memory(16 * kMiB);
  GuestProcess guest(options("translate", {"--pmem", memory.path()}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
  std::filesystem::resize_file(memory.path(), 0);
  guest.type("cat /dev/pmem0 >/dev/null\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGBUS);
  EXPECT_NE(guest.errors().find("has become shorter"), std::string::npos) << guest.errors();
}

TEST_F(Pmem, FilesThatCannotBeAreRefused) {
  const auto refusal = [](const std::vector<std::string>& more) {
    GuestProcess guest(options("translate", more));
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 2) << guest.tail();
    return guest.errors();
  };
  const DiskImage odd(kMiB + 512, "odd"), empty(0, "empty"), right(2 * kMiB);
  EXPECT_NE(refusal({"--pmem", odd.path()}).find("whole number of pages"), std::string::npos);
  EXPECT_NE(refusal({"--pmem", empty.path()}).find("whole number of pages"), std::string::npos);
  EXPECT_NE(refusal({"--pmem", directory + "/nowhere"}).find("nowhere"), std::string::npos);
  EXPECT_NE(refusal({"--pmem", directory}).find("directory"), std::string::npos);
  EXPECT_NE(refusal({"--pmem", right.path(), "--pmem", right.path()}).find("in use"), std::string::npos);
  std::filesystem::resize_file(right.path(), uint64_t{2} << 40);
  EXPECT_NE(refusal({"--pmem", right.path() + ",readonly"}).find("no room for"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::boot_test
