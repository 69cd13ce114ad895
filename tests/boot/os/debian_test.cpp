// Debian's stock kernel to the shell of its initramfs and back, as a user at the console sees it, under the
// translator. The limits are generous: a hang must end the test, a slow machine must not.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBootLimit = 400s;
constexpr auto kCommandLimit = 120s;
constexpr auto kEndLimit = 60s;
constexpr const char* kPrompt = "eidolon:/root# ";

class Debian : public testing::Test {
 protected:
  void SetUp() override {
    const std::string guest = EIDOLON_GUEST;
    if (std::filesystem::exists(guest + "/vmlinuz") && std::filesystem::exists(guest + "/initrd")) return;
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest in " << guest;
    GTEST_SKIP() << "no guest; run scripts/fetch_guest.sh";
  }

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

  /// Types a command; its output up to the next prompt must contain `answer`, which the command line itself
  /// must not, for the guest's terminal echoes it.
  static void expect_answer(GuestProcess& guest, const std::string& command, const std::string& answer) {
    ASSERT_EQ(command.find(answer), std::string::npos);
    guest.type(command + "\n");
    EXPECT_TRUE(guest.wait_for(answer, kCommandLimit)) << "no '" << answer << "' from: " << command << "\n"
                                                       << guest.tail();
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << "no prompt after: " << command << "\n"
                                                        << guest.tail();
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

  guest.type("poweroff -f\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
}

TEST_F(Debian, RebootEndsWithStatus3UnderNoReboot) {
  GuestProcess guest(run_options("console=ttyS0 quiet", false));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type("reboot -f\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 3) << guest.tail();
}

TEST_F(Debian, RebootStartsTheMachineAgain) {
  GuestProcess guest(run_options("console=ttyS0 quiet", true));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  guest.type("reboot -f\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << "no second boot\n" << guest.tail();
  guest.type("poweroff -f\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
}

TEST_F(Debian, APanicEndsWithStatus3UnderNoReboot) {
  GuestProcess guest(
      run_options("console=ttyS0 panic=-1 root=/dev/nowhere rdinit=/nowhere init=/nowhere", false));
  EXPECT_EQ(guest.wait_for_end(kBootLimit), 3) << guest.tail();
  EXPECT_NE(guest.output().find("Kernel panic"), std::string::npos) << guest.tail();
}

}  // namespace
}  // namespace eidolon::boot_test
