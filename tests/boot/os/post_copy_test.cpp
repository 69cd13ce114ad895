// Machines that go on in another process before their memory is there, and what happens if it never comes.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/moving_guest.h"
#include "boot/os/screen.h"
#include "boot/os/slow_wire.h"
#include "migration/userfault.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMega = 1'000'000;

class PostCopyTest : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    if (const auto faults = migration::Userfault::create(); !faults) GTEST_SKIP() << faults.error().message;
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  [[nodiscard]] std::string arrival() const { return "unix:" + directory + "/arrival"; }
  [[nodiscard]] std::string wire() const { return "unix:" + directory + "/wire"; }

  static std::vector<std::string> guest_arguments(const DiskImage& disk) {
    return {"run",
            "--name",
            "state",
            "--cpus",
            "2",
            "--memory",
            "256M",
            "--kernel",
            guest_file("vmlinuz"),
            "--initrd",
            guest_file("initrd-drivers"),
            "--append",
            "console=ttyS0 quiet rdinit=/drivers/init",
            "--disk",
            disk.path(),
            "--net",
            "user"};
  }
  /// Writes memory as fast as it can, reads and writes the disk, and looks whether all is as it was.
  static void start_work(GuestProcess& guest) {
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type(
        "head -c 20000000 /dev/urandom > random; sha256sum < random > right; dd if=random of=/dev/vda "
        "conv=fsync "
        "2> errors; echo ready$((1))\n");
    ASSERT_TRUE(guest.wait_for("ready1", kCommandLimit)) << guest.tail();
    guest.type(
        "(while cat random > copy; sha256sum < copy | cmp - right; do :; done; echo wrong$((1))) & "
        "(while cat random random > more; do :; done; echo wrong$((1))) & "
        "(while echo 3 > /proc/sys/vm/drop_caches; head -c 20000000 /dev/vda | sha256sum | cmp - right; do "
        "dd if=random of=/dev/vda seek=65536 conv=fsync 2> errors; done; echo wrong$((1))) &\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
  }
  void wait_for_listener(const std::string& name) const {
    for (int tries = 0; tries < 200 && !std::filesystem::exists(directory + "/" + name); ++tries)
      std::this_thread::sleep_for(50ms);
  }
};

TEST_F(PostCopyTest, AGuestThatWritesFasterThanTheWireGoesOnAndOn) {
  if (IsSkipped()) return;
  const DiskImage disk(64 << 20);
  auto guest = std::make_unique<GuestProcess>(guest_arguments(disk));
  start_work(*guest);
  std::string name = "state";
  int turn = 0;
  for (const char* rounds : {"", "--rounds 0", "--rounds 1"}) {
    const std::string next = "state" + std::to_string(++turn);
    auto there = std::make_unique<GuestProcess>(std::vector<std::string>{
        "receive", arrival(), "--name", next, "--engine", turn == 3 ? "step" : "translate"});
    wait_for_listener("arrival");
    {
      const SlowWire wire_between(wire(), directory + "/arrival", 50 * kMega);
      ASSERT_EQ(ask("migrate " + wire() + " --name " + name + " --post-copy --down-time 1 " + rounds), 0)
          << guest->errors() << there->errors();
      EXPECT_EQ(guest->wait_for_end(kEndLimit), 0) << guest->errors();
    }
    EXPECT_EQ(guest->output().find("wrong1"), std::string::npos) << guest->tail();
    guest = std::move(there);
    name = next;
    expect_right(*guest, turn);
  }
  expect_answer(*guest, "dmesg | grep -ci 'unstable\\|lockup\\|fork\\|i/o error' | sed s/^/complaints:/",
                "complaints:0");
  EXPECT_EQ(ask("snapshot --name " + name + " " + directory + "/after.snap"), 0) << "all is there";
  power_off(*guest);
}

/// Over a wire so slow that its memory takes half a minute: whatever is to happen before it is there happens.
class PostCopyUnderWay : public PostCopyTest {
 protected:
  void begin() {
    guest = std::make_unique<GuestProcess>(guest_arguments(*disk));
    start_work(*guest);
    there = std::make_unique<GuestProcess>(
        std::vector<std::string>{"receive", arrival(), "--name", "there", "--engine", "translate"});
    wait_for_listener("arrival");
    between = std::make_unique<SlowWire>(wire(), directory + "/arrival", 3 * kMega);
    mover =
        std::thread([this] { moved = ask("migrate " + wire() + " --name state --post-copy --rounds 0"); });
    // It answers there, by what it has waited for.
    there->type("echo under $((5 * 1000 + 3)) way\n");
    ASSERT_TRUE(there->wait_for("under 5003 way", kCommandLimit)) << there->errors() << guest->errors();
  }
  void TearDown() override {
    between.reset();
    if (mover.joinable()) mover.join();
    PostCopyTest::TearDown();
  }

  std::unique_ptr<DiskImage> disk = std::make_unique<DiskImage>(64 << 20);
  std::unique_ptr<GuestProcess> guest, there;
  std::unique_ptr<SlowWire> between;
  std::thread mover;
  int moved = -1;
};

TEST_F(PostCopyUnderWay, IsRefusedWhatNeedsAllMemory) {
  if (IsSkipped()) return;
  begin();
  EXPECT_EQ(ask("snapshot --name there " + directory + "/early.snap"), 1);
  EXPECT_EQ(ask("migrate --name there unix:" + directory + "/further"), 1);
  EXPECT_EQ(ask("migrate --cancel --name state"), 1) << "it runs there already";
  EXPECT_EQ(ask("resume --name state"), 0);
  guest->type("echo back $((5 * 1000 + 4)) here\n");
  EXPECT_FALSE(guest->wait_for("back 5004 here", 2s)) << "it must never run at both places";
  EXPECT_EQ(ask("engine --name there step"), 0) << "engines wait for pages as any program does";
}

TEST_F(PostCopyUnderWay, ABrokenConnectionIsTheEndOnBothSides) {
  if (IsSkipped()) return;
  begin();
  between->cut();
  EXPECT_EQ(there->wait_for_end(kEndLimit), 1);
  EXPECT_NE(there->errors().find("a part of its memory has not come"), std::string::npos) << there->errors();
  EXPECT_EQ(guest->wait_for_end(kEndLimit), 1);
  EXPECT_NE(guest->errors().find("it cannot go on, here or there"), std::string::npos) << guest->errors();
  mover.join();
  EXPECT_EQ(moved, 1);
}

TEST_F(PostCopyUnderWay, ASourceThatIsKilledIsTheEndThere) {
  if (IsSkipped()) return;
  begin();
  guest->send_signal(SIGKILL);
  EXPECT_EQ(there->wait_for_end(kEndLimit), 1);
  EXPECT_NE(there->errors().find("start it anew"), std::string::npos) << there->errors();
}

TEST_F(PostCopyUnderWay, AGuestThatEndsThereNeedsNoMore) {
  if (IsSkipped()) return;
  begin();
  EXPECT_EQ(ask("stop --name there"), 0);
  EXPECT_EQ(there->wait_for_end(kEndLimit), 0) << there->errors();
  EXPECT_EQ(guest->wait_for_end(kEndLimit), 0) << guest->errors();
  mover.join();
  EXPECT_EQ(moved, 0);
}

}  // namespace
}  // namespace eidolon::boot_test
