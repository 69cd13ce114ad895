// How a machine ends, as the program's exit status tells: a few instructions per way.
#include <gtest/gtest.h>
#include <csignal>

#include "boot/os/flat_kernel.h"
#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLimit = 60s;

int status_of(const FlatKernel& kernel, const std::vector<std::string>& more = {"--no-reboot"}) {
  std::vector<std::string> arguments = {"run", "--kernel", kernel.path(), "--memory", "16M"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  GuestProcess guest(arguments);
  const int status = guest.wait_for_end(kLimit);
  EXPECT_NE(status, -1) << "still running\n" << guest.tail();
  return status;
}

TEST(Endings, DebugExitGivesItsValue) {
  const FlatKernel kernel({0xb0, 0x10, 0xe6, 0xf4});  // mov al, 0x10; out 0xf4, al
  EXPECT_EQ(status_of(kernel), 0x21);
}

TEST(Endings, TripleFaultIsStatus3) {
  const FlatKernel kernel({0x0f, 0x01, 0x1d, 0x2a, 0x00, 0x10, 0x00,  // lidt [0x10002a]
                           0x0f, 0x0b, 0x90,                          // ud2
                           0, 0, 0, 0, 0, 0});                        // an IDT without room
  EXPECT_EQ(status_of(kernel), 3);
}

TEST(Endings, ResetRegisterIsStatus3) {
  const FlatKernel kernel(
      {0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe});  // mov dx, 0xcf9; out dx, 6
  EXPECT_EQ(status_of(kernel), 3);
}

TEST(Endings, KeyboardControllerResetIsStatus3) {
  const FlatKernel kernel({0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe});  // out 0x64, 0xfe
  EXPECT_EQ(status_of(kernel), 3);
}

TEST(Endings, AcpiPowerOffIsStatus0) {
  const FlatKernel kernel({0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00,
                           0x34,                      // mov dx, 0x604; mov ax, S5 | SLP_EN
                           0x66, 0xef, 0xeb, 0xfe});  // out dx, ax
  EXPECT_EQ(status_of(kernel, {}), 0);
}

TEST(Endings, JumpIntoNothingIsATripleFault) {
  // Nothing answers at 0xd0000000; what is fetched there is all ones, which is no instruction.
  const FlatKernel kernel({0x0f, 0x01, 0x1d, 0x30, 0x00, 0x10, 0x00,              // lidt [0x100030]
                           0xb8, 0x00, 0x00, 0x00, 0xd0, 0xff, 0xe0, 0x90, 0x90,  // jmp 0xd0000000
                           0,    0,    0,    0,    0,    0});
  EXPECT_EQ(status_of(kernel), 3);
}

TEST(Endings, UnmappedMemoryReadsAsOnes) {
  const FlatKernel kernel(
      {0xa1, 0x00, 0x00, 0x00, 0xd0, 0x40, 0xe6, 0xf4});  // mov eax, [..]; inc eax; out 0xf4, al
  EXPECT_EQ(status_of(kernel), 1) << "1 is the status of value 0";
}

TEST(Endings, WithoutNoRebootTheMachineStartsAgain) {
  // Prints a letter and resets: two letters are two lives.
  const FlatKernel kernel({0x66, 0xba, 0xf8, 0x03, 0xb0, 'A', 0xee,                 // out 0x3f8, 'A'
                           0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe});  // out 0xcf9, 6
  GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M"});
  EXPECT_TRUE(guest.wait_for("A", kLimit)) << guest.tail();
  EXPECT_TRUE(guest.wait_for("A", kLimit)) << guest.tail();
  guest.send_signal(SIGTERM);
  EXPECT_EQ(guest.wait_for_end(kLimit), 128 + SIGTERM) << guest.tail();
}

TEST(Endings, SignalsEndASpinningGuest) {
  const FlatKernel kernel({0x66, 0xba, 0xf8, 0x03, 0xb0, 'A', 0xee, 0xeb, 0xfe});
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M"});
    ASSERT_TRUE(guest.wait_for("A", kLimit)) << guest.tail();
    guest.send_signal(number);
    EXPECT_EQ(guest.wait_for_end(kLimit), 128 + number) << guest.tail();
  }
}

TEST(Endings, AHaltedGuestCanBeEnded) {
  const FlatKernel kernel({0x66, 0xba, 0xf8, 0x03, 0xb0, 'A', 0xee, 0xfa, 0xf4, 0xeb, 0xfd});  // cli; hlt
  GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M"});
  ASSERT_TRUE(guest.wait_for("A", kLimit)) << guest.tail();
  guest.close_input();
  guest.send_signal(SIGTERM);
  EXPECT_EQ(guest.wait_for_end(kLimit), 128 + SIGTERM) << guest.tail();
}

TEST(Endings, SerialFileGetsTheOutput) {
  const FlatKernel kernel({0x66, 0xba, 0xf8, 0x03, 0xb0, 'A', 0xee, 0xb0, 0x00, 0xe6, 0xf4});
  const std::string log = kernel.path() + ".log";
  EXPECT_EQ(status_of(kernel, {"--serial", "file:" + log}), 1);
  std::string text;
  std::ifstream(log) >> text;
  EXPECT_EQ(text, "A");
  std::remove(log.c_str());
}

}  // namespace
}  // namespace eidolon::boot_test
