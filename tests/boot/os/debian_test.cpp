// Debian's stock kernel to the shell of its initramfs and back, as a user at the console sees it, under the
// translator.
#include <gtest/gtest.h>

#include <string>

#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

class Debian : public testing::Test {
 protected:
  void SetUp() override { require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh"); }

  static std::vector<std::string> run_options(const std::string& append, bool reboot) {
    std::vector<std::string> options = {"run",
                                        "--kernel",
                                        EIDOLON_GUEST "/vmlinuz",
                                        "--initrd",
                                        EIDOLON_GUEST "/initrd",
                                        "--append",
                                        append,
                                        "--engine",
                                        "translate"};
    if (!reboot) options.emplace_back("--no-reboot");
    return options;
  }
};

TEST_F(Debian, BootsToAShellThatWorksAndPowersOff) {
  GuestProcess guest(run_options("console=ttyS0", true));
  ASSERT_TRUE(guest.wait_for("Linux version ", kBootLimit)) << guest.tail();
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  EXPECT_EQ(guest.errors().rfind("eidolon: engine ", 0), 0u)
      << "the engine must be named first: " << guest.errors();

  expect_answer(guest, "uname -sm", "Linux x86_64");
  expect_answer(guest, "cat /proc/cpuinfo", "hypervisor");
  expect_answer(guest, "dmesg | grep -c Command.line:", "1\r\n");
  expect_answer(guest, "seq 1 20000 | grep 7 | wc -l", "6878");
  expect_answer(guest, "seq 1 20000 | sha256sum",
                "f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a");
  expect_answer(guest, "dd if=/dev/zero bs=1M count=16 2>/dev/null | sha256sum",
                "080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e");

  power_off(guest);
}

// Its kernel unpacks itself here, that of the other tests is unpacked for it.
TEST_F(Debian, RebootEndsWithStatus3UnderNoReboot) {
  auto options = run_options("console=ttyS0 quiet", false);
  options.insert(options.end(), {"--kernel-unpack", "guest"});
  GuestProcess guest(std::move(options));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type("reboot -f\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 3) << guest.tail();
}

TEST_F(Debian, RebootStartsTheMachineAgain) {
  GuestProcess guest(run_options("console=ttyS0 quiet", true));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type("reboot -f\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << "no second boot\n" << guest.tail();
  power_off(guest);
}

TEST_F(Debian, APanicEndsWithStatus3UnderNoReboot) {
  GuestProcess guest(
      run_options("console=ttyS0 panic=-1 root=/dev/nowhere rdinit=/nowhere init=/nowhere", false));
  EXPECT_EQ(guest.wait_for_end(kBootLimit), 3) << guest.tail();
  EXPECT_NE(guest.output().find("Kernel panic"), std::string::npos) << guest.tail();
}

}  // namespace
}  // namespace eidolon::boot_test
