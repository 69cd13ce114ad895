// A running machine goes on under another engine, and does not notice.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

class EngineSwitch : public ScreenTest {};

TEST_F(EngineSwitch, AGuestUnderLoadGoesOnUnderEach) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  GuestProcess guest({"run", "--name", "state", "--cpus", "2", "--kernel", guest_file("vmlinuz"), "--initrd",
                      guest_file("initrd"), "--append", "console=ttyS0 quiet"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type("head -c 4000000 /dev/urandom > random; sha256sum < random > right; echo ready$((1))\n");
  ASSERT_TRUE(guest.wait_for("ready1", kCommandLimit)) << guest.tail();
  guest.type(
      "(while sha256sum < random | cmp - right; do :; done; echo wrong$((1))) & "
      "(while sha256sum < random | cmp - right; do :; done; echo wrong$((1))) &\n");
  for (int turn = 0; turn < 5; ++turn) {
    for (const char* engine : {"step", "translate"}) {
      ASSERT_EQ(ask(std::string("engine --name state ") + engine), 0) << guest.errors();
      std::this_thread::sleep_for(200ms);
      expect_answer(guest, "echo turn $((" + std::to_string(turn) + " * 7 + 700))", std::to_string(turn * 7 + 700) + "\r");
    }
  }
  EXPECT_EQ(ask("engine --name state lockstep"), 1);
  EXPECT_EQ(ask("engine --name state tcg"), 1);
  EXPECT_EQ(ask("engine --name state kvm"), 1)
      << "the guest knows more than the host's KVM leaves of a processor";
  EXPECT_EQ(guest.output().find("wrong1"), std::string::npos) << guest.tail();
  expect_answer(guest, "dmesg | grep -ci 'unstable\\|lockup' | sed s/^/complaints:/", "complaints:0");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
