// Copies of a running machine as a user makes them: they go on beside it, each with a life of its own; and
// what they cannot share is said.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "boot/os/disk_image.h"
#include "boot/os/flat_kernel.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

class Clone : public ScreenTest {
 protected:
  void TearDown() override {
    for (const char* name : {"state-1", "state-2"}) (void)ask(std::string("stop --name ") + name);
    ScreenTest::TearDown();
  }
  /// What follows `text` on its line, in what a copy wrote to its serial port; empty: it did not come.
  [[nodiscard]] std::string logged(const std::string& name, const std::string& text) const {
    for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;
         std::this_thread::sleep_for(50ms)) {
      std::ifstream file(directory + "/" + name + ".log");
      for (std::string line; std::getline(file, line) && !file.eof();)
        if (const size_t at = line.find(text); at != std::string::npos) return line.substr(at + text.size());
    }
    return {};
  }
  [[nodiscard]] static int running(const std::string& name) { return ask("status --name " + name); }
};

TEST_F(Clone, CopiesGoOnBesideTheMachineWithRandomNumbersOfTheirOwn) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  GuestProcess guest({"run", "--name", "state", "--kernel", guest_file("vmlinuz"), "--initrd",
                      guest_file("initrd"), "--append", "console=ttyS0 quiet"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type(
      "while :; do echo life $(dmesg | grep -c 'due to virtual machine fork') $(head -c 16 /dev/urandom | "
      "sha256sum); "
      "done\n");
  ASSERT_TRUE(guest.wait_for("\nlife 0 ", kCommandLimit)) << guest.tail();
  ASSERT_EQ(ask("clone --name state --count 2 --logs " + directory), 0);
  const std::string one = logged("state-1", "life 1 "), two = logged("state-2", "life 1 ");
  EXPECT_NE(one, "");
  EXPECT_NE(two, "");
  EXPECT_NE(one, two);
  EXPECT_EQ(ask("clone --name state"), 1) << "their names are taken";
  EXPECT_TRUE(guest.wait_for("\nlife 0 ", kCommandLimit)) << guest.tail();
  guest.send_signal(SIGTERM);
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGTERM);
}

TEST_F(Clone, ACardTakenAnewHasAnAddressOfItsOwnAndPortsLeadToEachCopy) {
  require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  if (IsSkipped()) return;
  GuestProcess guest({"run", "--name", "state", "--kernel", guest_file("vmlinuz"), "--initrd",
                      guest_file("initrd-drivers"), "--append", "console=ttyS0 quiet rdinit=/drivers/init",
                      "--net", "user"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  // What a copy does when it finds that it is one; then it serves its address at port 80.
  guest.type(
      "while :; do if [ $(dmesg | grep -c 'due to virtual machine fork') = 1 ]; then ip link set eth0 down; "
      "d=$(basename $(readlink -f /sys/class/net/eth0/device)); for f in unbind bind; do echo $d > "
      "/sys/bus/virtio/drivers/virtio_net/$f; done; sleep 1; udhcpc -q -n -i eth0 -s /drivers/dhcp; "
      "echo address $(cat /sys/class/net/eth0/address); while :; do cat /sys/class/net/eth0/address | nc -l "
      "-p 80; "
      "done; fi; sleep 0.2; echo waiting$((1)); done\n");
  ASSERT_TRUE(guest.wait_for("waiting1", kCommandLimit)) << guest.tail();
  ASSERT_EQ(ask("clone --name state --count 2 --publish 21741:80 --logs " + directory), 0);
  const std::string one = logged("state-1", "address "), two = logged("state-2", "address ");
  EXPECT_EQ(one.substr(0, 9), "52:54:00:") << one;
  EXPECT_EQ(two.substr(0, 9), "52:54:00:") << two;
  EXPECT_NE(one, two);
  EXPECT_NE(one.substr(0, 17), "52:54:00:12:34:56");
  for (const auto& [port, address] : {std::pair{"21741", one}, std::pair{"21742", two}}) {
    const std::string fetch = std::string("for i in 1 2 3 4 5 6 7 8 9 10; do exec 3<>/dev/tcp/127.0.0.1/") +
                              port +
                              " && IFS= read -r -t 5 line <&3 && [ \"$line\" = " + address.substr(0, 17) +
                              " ] && exit 0; sleep 1; done; exit 1";
    EXPECT_EQ(std::system(("bash -c '" + fetch + "'").c_str()), 0) << port;
  }
}

TEST_F(Clone, ADiskThatIsWrittenIsSharedOnlyWhenTheMachineHasEnded) {
  // Writes 'r' and then turns in a loop.
  const FlatKernel kernel{0x66, 0xba, 0xf8, 0x03, 0xb0, 'r', 0xee, 0xeb, 0xfe};
  const DiskImage disk(1 << 20);
  GuestProcess guest(
      {"run", "--kernel", kernel.path(), "--memory", "16M", "--name", "state", "--disk", disk.path()});
  ASSERT_TRUE(guest.wait_for("r", 60s)) << guest.errors();
  EXPECT_EQ(ask("clone --name state"), 1);
  EXPECT_EQ(running("state"), 0) << "it goes on";
  EXPECT_EQ(running("state-1"), 1);
  EXPECT_EQ(ask("clone --name state --logs " + directory + "/nowhere"), 1);
  EXPECT_EQ(ask("clone --name state --stop --count 2"), 0);
  EXPECT_EQ(guest.wait_for_end(60s), 0) << guest.errors();
  EXPECT_EQ(running("state-1"), 0);
  EXPECT_EQ(running("state-2"), 0);
}

}  // namespace
}  // namespace eidolon::boot_test
