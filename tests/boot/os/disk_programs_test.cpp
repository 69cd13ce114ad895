// The programs of tests/guest/disk, which a BIOS loads from a diskette or a disk: real-mode services, unreal
// mode, and a 32-bit monitor with virtual-8086 tasks. They check themselves, as guest_programs_test.cpp says
// of the others.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>

#include "boot/os/guest_process.h"
#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

class DiskPrograms : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {
 protected:
  void SetUp() override {
    if (std::filesystem::exists("/usr/share/seabios/bios-256k.bin")) return;
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "there is no SeaBIOS";
    GTEST_SKIP() << "there is no SeaBIOS; run scripts/dependencies.sh test";
  }
};

TEST_P(DiskPrograms, FindNothingWrong) {
  const auto& [engine, program, medium] = GetParam();
  const bool floppy = std::string(medium) == "floppy";
  const std::string image =
      testing::TempDir() + "eidolon-" + engine + "-" + program + "-" + medium + std::to_string(getpid());
  std::filesystem::copy_file(std::string(EIDOLON_GUEST_PROGRAMS "/disk/") + program + ".img", image);
  std::filesystem::resize_file(image, floppy ? 1440 << 10 : 4 << 20);
  GuestProcess guest({"run", "--firmware", "bios", "--memory", "64M", "--engine", engine, "--no-reboot",
                      floppy ? "--floppy" : "--disk", image + (floppy ? "" : ",if=ide")});
  guest.close_input();
  EXPECT_EQ(guest.wait_for_end(kBootLimit), 1) << guest.tail();
  EXPECT_EQ(guest.output().find("FAIL"), std::string::npos) << guest.output();
  EXPECT_NE(guest.output().find("failures=0"), std::string::npos) << "it did not come to its end\n"
                                                                  << guest.tail();
  std::filesystem::remove(image);
}

INSTANTIATE_TEST_SUITE_P(Engines, DiskPrograms,
                         testing::Combine(testing::Values("step", "translate"),
                                          testing::Values("services", "unreal", "monitor"),
                                          testing::Values("floppy", "disk")),
                         [](const auto& kind) {
                           return std::string(std::get<0>(kind.param)) + "_" + std::get<1>(kind.param) + "_" +
                                  std::get<2>(kind.param);
                         });

}  // namespace
}  // namespace eidolon::boot_test
