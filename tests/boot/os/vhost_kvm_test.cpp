// A disk that QEMU's storage daemon serves, with the host's KVM: notifications that are no exits, other
// engines in the middle of requests, and what such a machine cannot do. The guest is a program of
// tests/guest, for a KVM that is itself software has not booted a whole system by tomorrow.
#include <gtest/gtest.h>

#include <csignal>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"
#include "boot/os/vhost_daemon.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

/// What `eidolon check` says that this host's KVM has; empty: there is none that may be opened.
std::string kvm_abilities() {
  GuestProcess check({"check"});
  (void)check.wait_for_end(kEndLimit);
  const std::string& text = check.output();
  const size_t at = text.find("KVM has ");
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

class ServedUnderKvm : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    if (!std::filesystem::exists("/usr/bin/qemu-storage-daemon"))
      GTEST_SKIP() << "there is no qemu-storage-daemon; install qemu-system-common";
    const std::string abilities = kvm_abilities();
    if (abilities.empty()) GTEST_SKIP() << "this host has no /dev/kvm that may be opened";
    for (const char* needed : {"local APICs of its own", "MSIs", "ioeventfd"})
      if (abilities.find(needed) == std::string::npos) GTEST_SKIP() << "this host's KVM lacks " << needed;
    ASSERT_NO_FATAL_FAILURE(daemon.start());
  }
  [[nodiscard]] static std::string path() { return testing::TempDir() + "eidolon-served-kvm.socket"; }
  [[nodiscard]] static std::vector<std::string> options(const std::string& append) {
    return {"run",
            "--name",
            "served",
            "--kernel",
            EIDOLON_GUEST_PROGRAMS "/virtio_disk.elf",
            "--append",
            append,
            "--memory",
            "64M",
            "--engine",
            "kvm",
            "--stats",
            "--irqchip",
            "split",
            "--no-reboot",
            "--disk",
            "vhost-user:" + path()};
  }
  /// The program checks itself: its disk, its interrupts, masks, and BARs that move.
  static void expect_good_end(GuestProcess& guest) {
    EXPECT_EQ(guest.wait_for_end(300s), 1) << guest.tail() << guest.errors();
    EXPECT_EQ(guest.output().find("FAIL"), std::string::npos) << guest.output();
    EXPECT_NE(guest.output().find("PASS virtio_disk/again/rounds"), std::string::npos) << guest.output();
    EXPECT_EQ(guest.errors().find("no more"), std::string::npos) << "the back end stays\n" << guest.errors();
  }
  /// Of a program that would go on.
  static void expect_end(GuestProcess& guest) {
    guest.send_signal(SIGTERM);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGTERM);
    EXPECT_EQ(guest.output().find("FAIL"), std::string::npos) << guest.output();
    EXPECT_EQ(guest.errors().find("no more"), std::string::npos) << "the back end stays\n" << guest.errors();
  }
  static uint64_t counted(const std::string& report, const std::string& what) {
    const size_t at = report.find(what);
    EXPECT_NE(at, std::string::npos) << report;
    return at == std::string::npos ? 0 : std::stoull(report.substr(at + what.size()));
  }

  const DiskImage image{4 << 20};
  Daemon daemon{storage_daemon(image.path(), path()), path()};
};

TEST_F(ServedUnderKvm, NotificationsAreNoExits) {
  GuestProcess guest(options("rounds=500 depth=4"));
  expect_good_end(guest);
  constexpr uint64_t kRequests = 2 * 500 * 4;
  EXPECT_LT(counted(guest.errors(), "exits for memory of devices"), kRequests / 10) << guest.errors();
}

TEST_F(ServedUnderKvm, GoesOnUnderOtherEnginesInTheMiddleOfRequests) {
  GuestProcess guest(options("rounds=4000000000 depth=4"));
  ASSERT_TRUE(guest.wait_for("begins", kCommandLimit)) << guest.tail() << guest.errors();
  for (int turn = 0; turn < 2; ++turn) {
    for (const char* engine : {"translate", "kvm", "step", "kvm"}) {
      ASSERT_EQ(ask(std::string("engine --name served ") + engine), 0) << guest.errors();
      // What was said before the engine came, and not read, counts for nothing.
      ASSERT_FALSE(guest.wait_for("FAIL", 1s)) << engine << '\n' << guest.tail();
      while (guest.wait_for("goes on", 0s)) {
      }
      ASSERT_TRUE(guest.wait_for("goes on", kCommandLimit)) << engine << '\n' << guest.tail();
    }
  }
  expect_end(guest);
}

TEST_F(ServedUnderKvm, HasNoSnapshotsCopiesAndMoves) {
  GuestProcess guest(options("rounds=4000000000 depth=4"));
  ASSERT_TRUE(guest.wait_for("begins", kCommandLimit)) << guest.tail() << guest.errors();
  const std::vector<std::vector<std::string>> refused = {
      {"snapshot", "--name", "served", directory + "/snap"},
      {"clone", "--name", "served"},
      {"migrate", "--name", "served", "unix:" + directory + "/nowhere"}};
  for (const std::vector<std::string>& arguments : refused) {
    GuestProcess command(arguments);
    EXPECT_EQ(command.wait_for_end(kEndLimit), 1) << arguments[0];
    EXPECT_NE(command.errors().find("vhost-user"), std::string::npos) << command.errors();
    EXPECT_TRUE(guest.wait_for("goes on", kCommandLimit)) << guest.tail();
  }
  EXPECT_FALSE(std::filesystem::exists(directory + "/snap"));
  expect_end(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
