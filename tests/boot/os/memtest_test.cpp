// memtest86+ as a loader of Linux would start it: no firmware, its screen on the serial port. It is a program
// of nothing but memory: large and small pages, every access size, all of the guest's memory moved about.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

class Memtest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { require_guest({GetParam()}, "scripts/fetch_tools.sh"); }
};

TEST_P(Memtest, FindsNoErrorIn64MiB) {
  GuestProcess guest({"run", "--kernel", guest_file(GetParam()), "--append", "console=ttyS0,115200",
                      "--memory", "64M", "--engine", "translate", "--no-reboot"});
  // From test 4 on, all addresses and the first patterns are behind it. Its screen is sent now and then, so a
  // short test may never be seen on a fast host: any later one says the same. A whole pass takes minutes, for
  // the last test waits.
  const bool whole = std::getenv("EIDOLON_LONG_TESTS") != nullptr;
  const bool came =
      whole ? guest.wait_for("Pass:  1", 3600s)
            : guest.wait_for_any({"#4  [", "#5  [", "#6  [", "#7  [", "#8  [", "#9  [", "#10 ["}, kBootLimit);
  ASSERT_TRUE(came) << guest.tail();
  ASSERT_TRUE(guest.wait_for("Errors: 0", kCommandLimit)) << guest.tail();
  // The last test, for which a fast host may be ready before a screen of another is sent, does not say of
  // what.
  constexpr const char *kWhole = "[60MB of 63.", *kLast = "#10 [";
  EXPECT_TRUE(guest.output().contains(kWhole) || guest.output().contains(kLast) ||
              guest.wait_for_any({kWhole, kLast}, kCommandLimit))
      << guest.tail();
}

INSTANTIATE_TEST_SUITE_P(Builds, Memtest, testing::Values("memtest86+x64.bin", "memtest86+ia32.bin"),
                         [](const auto& kind) {
                           return std::string(kind.param).contains("x64") ? std::string("x64") : "ia32";
                         });

}  // namespace
}  // namespace eidolon::boot_test
