// Machines that move with their disks: two files, one on each side, that the other side cannot reach.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"
#include "boot/os/slow_wire.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr uintmax_t kDiskBytes = 64 << 20;

class DiskMoveTest : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  [[nodiscard]] std::string arrival() const { return "unix:" + directory + "/arrival"; }
  [[nodiscard]] std::string wire() const { return "unix:" + directory + "/wire"; }

  std::unique_ptr<GuestProcess> start() const {
    return std::make_unique<GuestProcess>(std::vector<std::string>{
        "run", "--name", "state", "--memory", "256M", "--kernel", guest_file("vmlinuz"), "--initrd",
        guest_file("initrd-drivers"), "--append", "console=ttyS0 quiet rdinit=/drivers/init", "--disk",
        disk.path(), "--disk", second.path() + ",if=nvme"});
  }
  /// A file system whose files change all the time, and each is what its checksum says; beside it random
  /// bytes.
  static void start_work(GuestProcess& guest) {
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type(
        "head -c 5000000 /dev/urandom > random; sha256sum < random > right; mke2fs -F /dev/vda > errors "
        "2>&1; mkdir d; "
        "mount -t ext4 /dev/vda d; dd if=random of=/dev/nvme0n1 bs=1000000 conv=fsync 2> errors; echo "
        "ready$((1))\n");
    ASSERT_TRUE(guest.wait_for("ready1", kCommandLimit)) << guest.tail();
    guest.type(
        "(n=0; while [ ! -e stop ]; do cp random d/copy$((n % 8)) && sync && echo 3 > "
        "/proc/sys/vm/drop_caches && "
        "sha256sum < d/copy$((n % 8)) | cmp - right || echo wrong$((1)); n=$((n + 1)); done) &\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
    guest.type("sleep 3\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
  }
  static void expect_right(GuestProcess& guest) {
    expect_answer(guest, "sleep 2; echo still $((7 * 101))", "still 707");
    EXPECT_EQ(guest.output().find("wrong1"), std::string::npos) << guest.tail();
    expect_answer(guest, "head -c 5000000 /dev/nvme0n1 | cmp - random && echo second is $((7 * 11))",
                  "second is 77");
    expect_answer(guest, "dmesg | grep -ci 'i/o error\\|ext4.*error' | sed s/^/complaints:/", "complaints:0");
  }
  /// Nothing is lost, and the file system is whole.
  static void end(GuestProcess& guest) {
    expect_answer(guest,
                  "touch stop; wait; for f in d/copy*; do cmp $f random || echo differs; done; umount d; "
                  "mount -t ext4 /dev/vda d && cmp d/copy0 random; umount d; echo all the $((5 * 5))",
                  "all the 25");
    EXPECT_EQ(guest.output().find("differs\r"), std::string::npos) << guest.tail();
    power_off(guest);
  }
  /// With an image for the first disk.
  std::unique_ptr<GuestProcess> receive(const DiskImage& image) const {
    std::filesystem::remove(directory + "/arrival");  // who was there before may have been killed
    auto there = std::make_unique<GuestProcess>(std::vector<std::string>{
        "receive", arrival(), "--name", "there", "--disk", disk.path() + "=" + image.path(), "--disk",
        second.path() + "=" + second_other.path()});
    wait_for_arrival();
    return there;
  }
  void wait_for_arrival() const {
    for (int tries = 0; tries < 200 && !std::filesystem::exists(directory + "/arrival"); ++tries)
      std::this_thread::sleep_for(50ms);
  }

  const DiskImage disk{kDiskBytes, "here"}, other{kDiskBytes, "there"};
  const DiskImage second{kDiskBytes, "second-here"}, second_other{kDiskBytes, "second-there"};
};

TEST_F(DiskMoveTest, ADiskThatIsWrittenAllTheTimeComesAlong) {
  if (IsSkipped()) return;
  other.write(60 << 20, "what was there before");
  auto guest = start();
  start_work(*guest);
  auto there = receive(other);
  ASSERT_EQ(ask("migrate " + arrival() + " --name state --copy-disks"), 0)
      << guest->errors() << there->errors();
  EXPECT_EQ(guest->wait_for_end(kEndLimit), 0) << guest->errors();
  // What it finds is there.
  disk.write(0, std::string(1 << 20, 'x'));
  second.write(0, std::string(1 << 20, 'x'));
  expect_right(*there);
  end(*there);
  EXPECT_NE(other.at(60 << 20, 21), "what was there before");
}

TEST_F(DiskMoveTest, AFailureLeavesTheSourceInCharge) {
  if (IsSkipped()) return;
  auto guest = start();
  start_work(*guest);
  {
    const GuestProcess there({"receive", arrival(), "--name", "there"});
    wait_for_arrival();
    EXPECT_EQ(ask("migrate " + arrival() + " --name state --copy-disks"), 1) << "nobody has given these away";
  }
  {
    const DiskImage small(kDiskBytes / 2, "small");
    const auto there = receive(small);
    EXPECT_EQ(ask("migrate " + arrival() + " --name state --copy-disks"), 1) << "it does not fit";
  }
  {
    auto there = receive(other);
    const SlowWire between(wire(), directory + "/arrival", 10'000'000);
    std::thread mover([this] { EXPECT_EQ(ask("migrate " + wire() + " --name state --copy-disks"), 1); });
    for (int tries = 0; tries < 600 && between.carried() < 30'000'000; ++tries)
      std::this_thread::sleep_for(50ms);
    there->send_signal(SIGKILL);
    mover.join();
    EXPECT_EQ(other.at(0, 1 << 20), std::string(1 << 20, '\0')) << "what has come does not look like a disk";
    EXPECT_NE(other.at(1 << 20, 4 << 20), std::string(4 << 20, '\0'));
  }
  expect_right(*guest);
  EXPECT_NE(guest->errors().find("would be overwritten"), std::string::npos) << guest->errors();
  EXPECT_NE(guest->errors().find("make it as large"), std::string::npos) << guest->errors();
  {
    const auto there = receive(disk);
    EXPECT_EQ(ask("migrate " + arrival() + " --name state --copy-disks"), 1) << "the same file is locked";
  }
  expect_right(*guest);
  end(*guest);
}

class VariablesMoveTest : public ScreenTest {
 protected:
  static constexpr const char* kShell = "Shell> ";
  void SetUp() override {
    ScreenTest::SetUp();
    if (!std::filesystem::exists("/usr/share/OVMF/OVMF_CODE_4M.fd"))
      GTEST_SKIP() << "there is no OVMF; run scripts/dependencies.sh test";
  }
  /// In UEFI's shell. `name` is of one letter.
  static void set(GuestProcess& guest, const std::string& name, const std::string& bytes) {
    guest.type("setvar " + name + " -guid 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 -nv -bs -rt =" + bytes + "\r");
    ASSERT_TRUE(guest.wait_for(kShell, kBootLimit)) << guest.tail();
  }
  [[nodiscard]] static std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(VariablesMoveTest, UefiVariablesInAFileComeAlong) {
  if (IsSkipped()) return;
  const std::string here = directory + "/here.vars", other = directory + "/there.vars",
                    arrival = "unix:" + directory + "/arrival";
  GuestProcess guest({"run", "--name", "state", "--firmware", "uefi", "--engine", "translate", "--uefi-vars",
                      here, "--memory", "128M"});
  ASSERT_TRUE(guest.wait_for("seconds to skip", kBootLimit)) << guest.tail() << guest.errors();
  guest.type("\x1b");
  ASSERT_TRUE(guest.wait_for(kShell, kBootLimit)) << guest.tail();
  set(guest, "A", "\"before the move\"");
  {
    const GuestProcess nobody({"receive", arrival, "--name", "there"});
    for (int tries = 0; tries < 200 && !std::filesystem::exists(directory + "/arrival"); ++tries)
      std::this_thread::sleep_for(50ms);
    EXPECT_EQ(ask("migrate " + arrival + " --name state --copy-disks"), 1) << "nobody has said where to";
  }
  std::filesystem::remove(directory + "/arrival");
  GuestProcess there({"receive", arrival, "--name", "there", "--uefi-vars", other});
  for (int tries = 0; tries < 200 && !std::filesystem::exists(directory + "/arrival"); ++tries)
    std::this_thread::sleep_for(50ms);
  ASSERT_EQ(ask("migrate " + arrival + " --name state --copy-disks"), 0) << guest.errors() << there.errors();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  const std::string left = contents(here);
  set(there, "B", "\"after the move\"");
  there.type("reset -s\r");
  EXPECT_EQ(there.wait_for_end(kBootLimit), 0) << there.tail() << there.errors();
  EXPECT_NE(left.find("before the move"), std::string::npos);
  EXPECT_NE(contents(other).find("before the move"), std::string::npos);
  EXPECT_NE(contents(other).find("after the move"), std::string::npos);
  EXPECT_EQ(contents(here), left) << "this one is as the machine has left it";
}

}  // namespace
}  // namespace eidolon::boot_test
