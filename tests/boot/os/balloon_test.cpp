// Debian's virtio_balloon: memory that the guest gives is the host's again, and comes back to the guest.
#include <gtest/gtest.h>

#include <thread>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1 << 20;

class Balloon : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  /// What `eidolon balloon` says of the machine, once it is `text`; otherwise the last that it said.
  static std::string told(const std::string& text) {
    std::string last;
    for (int i = 0; i < 120; ++i) {
      GuestProcess asked({"balloon", "--name", "balloon"});
      // A machine that is just being restored does not listen yet.
      last = asked.wait_for_end(kEndLimit) == 0 ? asked.output() : asked.errors();
      if (last.starts_with(text)) return text;
      std::this_thread::sleep_for(500ms);
    }
    return last;
  }
  /// Less than `limit` within a minute; otherwise the least that it was.
  static bool shrinks_below(const GuestProcess& guest, uint64_t limit) {
    for (int i = 0; i < 120; ++i) {
      if (guest.resident_bytes() < limit) return true;
      std::this_thread::sleep_for(500ms);
    }
    return false;
  }
  /// Makes a file of so many MiB that do not shrink, and looks at it twice.
  static void fill(GuestProcess& guest, unsigned mib) {
    expect_answer(guest,
                  "dd if=/dev/urandom of=/t/x bs=1M count=" + std::to_string(mib) +
                      " 2>/dev/null; sha256sum /t/x /t/x | cut -c 1-64 | uniq | wc -c; wc -c < /t/x",
                  "65\r\n" + std::to_string(mib * kMiB) + "\r\n");
  }
};

TEST_F(Balloon, WhatTheGuestGivesLeavesTheMonitorAndComesBack) {
  const std::string snapshot = directory + "/machine.snap";
  {
    GuestProcess guest({"run", "--name", "balloon", "--memory", "320M", "--kernel", guest_file("vmlinuz"),
                        "--initrd", guest_file("initrd-drivers"), "--append",
                        "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate"});
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    EXPECT_EQ(told("the guest keeps 320 of 320 MiB\nit says:"), "the guest keeps 320 of 320 MiB\nit says:");
    guest.type("mkdir /t; mount -t tmpfs -o size=90% none /t\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    fill(guest, 200);
    const uint64_t full = guest.resident_bytes();
    EXPECT_GT(full, 200 * kMiB);

    guest.type("rm /t/x\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    ASSERT_EQ(ask("balloon --name balloon 180M"), 0);
    EXPECT_EQ(told("the guest keeps 180 of 320 MiB\n"), "the guest keeps 180 of 320 MiB\n");
    // Its own memory, such as the code cache, has grown meanwhile.
    EXPECT_TRUE(shrinks_below(guest, full - 110 * kMiB))
        << guest.resident_bytes() / kMiB << " MiB of " << full / kMiB;
    fill(guest, 60);

    ASSERT_EQ(ask("snapshot --name balloon --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", snapshot, "--name", "balloon"});
  EXPECT_EQ(told("the guest keeps 180 of 320 MiB\nit says:"), "the guest keeps 180 of 320 MiB\nit says:");
  // Its memory is mapped from the snapshot's file.
  guest.type("rm /t/x\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.errors();
  ASSERT_EQ(ask("balloon --name balloon 150M"), 0);
  EXPECT_EQ(told("the guest keeps 150 of 320 MiB\n"), "the guest keeps 150 of 320 MiB\n");
  ASSERT_EQ(ask("balloon --name balloon 320M"), 0);
  EXPECT_EQ(told("the guest keeps 320 of 320 MiB\n"), "the guest keeps 320 of 320 MiB\n");
  fill(guest, 200);
  EXPECT_GT(guest.resident_bytes(), 200 * kMiB);
  EXPECT_EQ(ask("balloon --name balloon 321M"), 1);
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
