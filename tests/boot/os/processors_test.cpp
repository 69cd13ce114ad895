// Debian's stock kernel on several processors.
#include <gtest/gtest.h>

#include <string>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

/// With a directory of their own for the control socket.
class DebianProcessors : public ScreenTest {
 protected:
  static std::vector<std::string> options(const std::string& cpus, const std::string& initrd,
                                          const std::string& append) {
    return {"run",
            "--kernel",
            guest_file("vmlinuz"),
            "--initrd",
            guest_file(initrd),
            "--append",
            append,
            "--cpus",
            cpus,
            "--memory",
            "1G",
            "--engine",
            "translate",
            "--no-reboot"};
  }
};

TEST_F(DebianProcessors, SitWhereTheUserPutsThemAndGoOffAndOn) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  GuestProcess guest(options("sockets=2,cores=2", "initrd", "console=ttyS0 quiet"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "echo there are $(grep -c ^processor /proc/cpuinfo)", "there are 4\r\n");
  expect_answer(guest,
                "cd /sys/devices/system/cpu; cat cpu[0-3]/topology/physical_package_id | tr '\\n' :; cd",
                "0:0:1:1:");
  // Work on all of them, each of which must come to the same.
  expect_answer(guest,
                "for i in 0 1 2 3; do taskset $((1 << i)) sh -c 'seq 1 60000 | sha256sum' & done | sort -u",
                "67235281ebbe500c400cb9fd79407125d547975f9fffe671917e0a8000df7dd3");
  expect_answer(guest,
                "for i in 1 2 3; do echo 0 > /sys/devices/system/cpu/cpu$i/online; done; echo left $(nproc)",
                "left 1\r\n");
  expect_answer(guest,
                "for i in 1 2 3; do echo 1 > /sys/devices/system/cpu/cpu$i/online; done; echo again $(nproc)",
                "again 4\r\n");
  expect_answer(guest, "dmesg | grep -E -c 'BUG:|WARNING: CPU|marked unstable|stall'", "0\r\n");
  power_off(guest);
}

// As the user plugs them in and asks for them, from another terminal.
TEST_F(DebianProcessors, ComeAndGo) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  const std::string until_there =
      "until [ -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done; "
      "echo 1 > /sys/devices/system/cpu/cpu1/online; echo there are $(nproc)";
  std::vector<std::string> arguments = options("1,max=3", "initrd", "console=ttyS0 quiet");
  arguments.insert(arguments.end(), {"--name", "slots"});
  GuestProcess guest(arguments);
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "echo there are $(nproc), $(cat /sys/devices/system/cpu/possible)",
                "there are 1, 0-2\r\n");
  EXPECT_EQ(ask("processors remove"), 1) << "the first one stays";
  ASSERT_EQ(ask("processors add"), 0);
  expect_answer(guest, until_there, "there are 2\r\n");
  expect_answer(guest, "taskset 2 sh -c 'seq 1 60000 | sha256sum'",
                "67235281ebbe500c400cb9fd79407125d547975f9fffe671917e0a8000df7dd3");
  // Given back while it works; what works there has to move.
  expect_answer(guest, "taskset 2 sh -c 'while :; do :; done' & echo its $((40 + 2))", "its 42\r\n");
  ASSERT_EQ(ask("processors remove"), 0);
  expect_answer(
      guest, "while [ -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done; kill %1; echo there is $(nproc)",
      "there is 1\r\n");
  // The same one again, and the next, which is the last.
  EXPECT_EQ(ask("processors add"), 0);
  EXPECT_EQ(ask("processors add"), 0);
  EXPECT_EQ(ask("processors add"), 1);
  expect_answer(guest, until_there, "there are 2\r\n");
  expect_answer(guest,
                "until [ -e /sys/devices/system/cpu/cpu2 ]; do sleep 0.1; done; "
                "echo 1 > /sys/devices/system/cpu/cpu2/online; echo now $(nproc)",
                "now 3\r\n");
  expect_answer(guest, "for i in 1 2 4; do taskset $i sh -c 'seq 1 60000 | sha256sum' & done | sort -u",
                "67235281ebbe500c400cb9fd79407125d547975f9fffe671917e0a8000df7dd3");
  expect_answer(guest, "dmesg | grep -E -c 'BUG:|WARNING: CPU|marked unstable|stall|ACPI.*Error'", "0\r\n");
  power_off(guest);
}

TEST_F(DebianProcessors, WhoIsThereIsInASnapshot) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  const std::string file = directory + "/machine.snap";
  {
    std::vector<std::string> arguments = options("1,max=2", "initrd", "console=ttyS0 quiet");
    arguments.insert(arguments.end(), {"--name", "slots"});
    GuestProcess guest(arguments);
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    ASSERT_EQ(ask("processors add"), 0);
    expect_answer(guest,
                  "until [ -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done; "
                  "echo 1 > /sys/devices/system/cpu/cpu1/online; echo there are $(nproc)",
                  "there are 2\r\n");
    ASSERT_EQ(ask("snapshot --stop " + file), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", file, "--name", "slots"});
  guest.type("\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();
  expect_answer(guest, "taskset 2 sh -c 'seq 1 60000 | sha256sum'",
                "67235281ebbe500c400cb9fd79407125d547975f9fffe671917e0a8000df7dd3");
  EXPECT_EQ(ask("processors add"), 1) << "all are there";
  ASSERT_EQ(ask("processors remove"), 0);
  expect_answer(guest,
                "while [ -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done; echo there is $(nproc)",
                "there is 1\r\n");
  power_off(guest);
}

TEST_F(DebianProcessors, SixtyFourComeUp) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  GuestProcess guest(options("64", "initrd", "console=ttyS0"));
  ASSERT_TRUE(guest.wait_for("Brought up 1 node, 64 CPUs", kBootLimit)) << guest.tail();
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  power_off(guest);
}

// What stress-ng checks of itself, pipes and sockets between many processes, and compilations side by side.
TEST_F(DebianProcessors, WithstandStress) {
  require_guest({"vmlinuz", "initrd-stress"}, "scripts/fetch_stress.sh");
  if (IsSkipped()) return;
  GuestProcess guest(options("4", "initrd-stress", "console=ttyS0 rdinit=/stress/init seconds=2"));
  ASSERT_TRUE(guest.wait_for("stress: the end", kBootLimit)) << guest.tail();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0);
  for (const char* round :
       {"cpu", "vm", "fork", "futex", "mmap", "mprotect", "signal", "hackbench", "compile"})
    EXPECT_NE(guest.output().find(std::string("stress: ") + round + " ok"), std::string::npos) << round;
  EXPECT_EQ(guest.output().find("kernel complains"), std::string::npos) << guest.output();
}

}  // namespace
}  // namespace eidolon::boot_test
