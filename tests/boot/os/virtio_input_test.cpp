// Debian's virtio_input on the keyboard and the tablet: what the user does comes out of /dev/input.
#include <gtest/gtest.h>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

class VirtioInput : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  /// Begins to read `count` events of the device with that name: type, code and value of each, in
  /// hexadecimal.
  static void listen(GuestProcess& guest, const std::string& name, unsigned count) {
    expect_answer(
        guest,
        "E=$(basename $(dirname $(dirname $(grep -l '" + name +
            "' /sys/class/input/event*/device/name)))); dd if=/dev/input/$E bs=24 count=" +
            std::to_string(count) +
            " of=/tmp/events 2>/dev/null & "
            "until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q input/$E; do :; done; echo listens $((6*7))",
        "listens 42\r\n");
  }
  static void expect_events(GuestProcess& guest, const std::string& events) {
    expect_answer(guest,
                  "wait; hexdump -v -e '1/4 \"%x \" 1/4 \"%x \" 1/4 \"%x \" 1/4 \"%x \" 1/2 \"%x \" 1/2 \"%x "
                  "\" 1/4 \"%x\\n\"' /tmp/events | cut -d' ' -f5- | "
                  "tr '\\n' ,; echo",
                  events + "\r\n");
  }
};

TEST_F(VirtioInput, KeysAndPositionsComeOutOfDevInput) {
  GuestProcess guest({"run", "--name", "screen", "--kernel", guest_file("vmlinuz"), "--initrd",
                      guest_file("initrd-drivers"), "--append",
                      "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--input", "tablet,keyboard",
                      "--engine", "translate"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  // KEY_LEFTSHIFT and KEY_A go down, and up again.
  listen(guest, "Virtio keyboard", 8);
  EXPECT_EQ(ask("keys --name screen shift-a"), 0);
  expect_events(guest, "1 2a 1,0 0 0,1 1e 1,0 0 0,1 1e 0,0 0 0,1 2a 0,0 0 0,");
  // The last place of the screen, whatever its size.
  listen(guest, "Virtio tablet", 3);
  EXPECT_EQ(ask("mouse --name screen to 100000 100000"), 0);
  expect_events(guest, "3 0 7fff,3 1 7fff,0 0 0,");
  expect_answer(guest, "dmesg | grep -ciE 'virtio_input.*(fail|error)|WARNING'", "0\r\n");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
