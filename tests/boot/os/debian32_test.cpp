// Debian's 32-bit kernels as they are, to a shell of 32-bit code: `686` pages with two levels and without
// no-execute, `686-pae` with three. Both live on what 64-bit kernels do not use: segments with bases for
// per-processor data, a task gate for double faults, INT 0x80 and SYSENTER.
#include <gtest/gtest.h>

#include <string>

#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

struct Kernel {
  std::string name;
  std::string nx;  ///< how often the kernel says that no-execute is in use
};

class Debian32 : public testing::TestWithParam<Kernel> {
 protected:
  void SetUp() override {
    require_guest({"vmlinuz-" + GetParam().name, "initrd-686"}, "scripts/fetch_guest32.sh");
  }
};

TEST_P(Debian32, BootsToAShellThatWorksAndPowersOff) {
  const auto& [name, nx] = GetParam();
  GuestProcess guest({"run", "--kernel", guest_file("vmlinuz-" + name), "--initrd", guest_file("initrd-686"),
                      "--append", "console=ttyS0 no_timer_check", "--engine", "translate", "--no-reboot"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();

  expect_answer(guest, "uname -rm", "-" + name + " i686\r\n");
  // Only three-level entries have a no-execute bit, and only then does the kernel use it.
  expect_answer(guest, "dmesg | grep -c 'NX (Execute Disable) protection: active'", nx + "\r\n");
  expect_answer(guest, "dmesg | grep -ciE 'BUG:|Oops|WARNING: CPU|segfault'", "0\r\n");
  expect_answer(guest, "seq 1 20000 | grep 7 | wc -l", "6878");
  expect_answer(guest, "seq 1 20000 | sha256sum",
                "f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a");
  expect_answer(guest, "awk 'BEGIN { printf \"%.6f\", 355 / 113 }'", "3.141593");
  expect_answer(guest, "i=0; while [ $i -lt 50 ]; do (true); i=$((i + 1)); done; echo forked $i",
                "forked 50");
  power_off(guest);
}

std::string case_name(const testing::TestParamInfo<Kernel>& info) {
  return info.param.name == "686" ? "two_level" : "pae";
}

INSTANTIATE_TEST_SUITE_P(Kernels, Debian32,
                         testing::Values(Kernel{.name = "686", .nx = "0"},
                                         Kernel{.name = "686-pae", .nx = "1"}),
                         case_name);

}  // namespace
}  // namespace eidolon::boot_test
