// What a user sees of a machine's inside: --stats, SIGUSR1, and eidolon explain.
#include <gtest/gtest.h>

#include <csignal>

#include "boot/os/flat_kernel.h"
#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLimit = 60s;

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in\n" << text;
}

/// mov ecx, 10; 1: dec ecx; jnz 1b; mov al, 0x10; out 0xf4, al
const std::initializer_list<uint8_t> kCounts = {0xb9, 10, 0, 0, 0, 0x49, 0x75, 0xfd, 0xb0, 0x10, 0xe6, 0xf4};

TEST(LookInside, StatisticsComeAtTheEnd) {
  const FlatKernel kernel(kCounts);
  GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M", "--stats"});
  EXPECT_EQ(guest.wait_for_end(kLimit), 0x21);
  expect_part(guest.errors(), "instructions translated");
  expect_part(guest.errors(), "exits from generated code, by cause");
  expect_part(guest.errors(), "stepped: out");
}

TEST(LookInside, ASignalAsksForThem) {
  // mov dx, 0x3f8; mov al, 'r'; out dx, al; 1: jmp 1b
  const FlatKernel kernel({0x66, 0xba, 0xf8, 0x03, 0xb0, 'r', 0xee, 0xeb, 0xfe});
  GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M"});
  ASSERT_TRUE(guest.wait_for("r", kLimit));
  guest.send_signal(SIGUSR1);
  guest.send_signal(SIGTERM);
  EXPECT_EQ(guest.wait_for_end(kLimit), 128 + SIGTERM);
  expect_part(guest.errors(), "instructions translated");
}

TEST(LookInside, ExplainPrintsABlock) {
  const FlatKernel kernel(kCounts);
  GuestProcess program({"explain", "--kernel", kernel.path(), "--memory", "16M", "--at", "0x100025"});
  EXPECT_EQ(program.wait_for_end(kLimit), 0);
  expect_part(program.output(), "the kernel's 32-bit code at guest-physical");
  expect_part(program.output(), "=> 100025  dec ecx");
}

TEST(LookInside, ExplainSaysThatTheGuestNeverCameThere) {
  const FlatKernel kernel(kCounts);
  GuestProcess program({"explain", "--kernel", kernel.path(), "--memory", "16M", "--at", "0x500000"});
  EXPECT_EQ(program.wait_for_end(kLimit), 1);
  EXPECT_EQ(program.output(), "");
  expect_part(program.errors(),
              "no block at 0x500000 was translated: the guest ended through the debug-exit port");
}

TEST(LookInside, ExplainGivesUp) {
  const FlatKernel kernel({0xeb, 0xfe});
  GuestProcess program(
      {"explain", "--kernel", kernel.path(), "--memory", "16M", "--at", "0x500000", "--timeout", "1"});
  EXPECT_EQ(program.wait_for_end(kLimit), 1);
  expect_part(program.errors(), "no block at 0x500000 was translated: the time was over");
}

TEST(LookInside, ExplainWaitsForAText) {
  // 2: nop; mov dx, 0x3f8; mov al, 'r'; out dx, al; 1: jmp 1b
  const FlatKernel kernel({0x90, 0x66, 0xba, 0xf8, 0x03, 0xb0, 'r', 0xee, 0xeb, 0xfe});
  GuestProcess program(
      {"explain", "--kernel", kernel.path(), "--memory", "16M", "--at", "0x100020", "--after", "r"});
  EXPECT_EQ(program.wait_for_end(kLimit), 0);
  expect_part(program.output(), "=> 100020  nop");
  EXPECT_EQ(program.errors().find("did not write"), std::string::npos) << program.errors();
}

TEST(LookInside, ExplainSaysThatATextDidNotCome) {
  const FlatKernel kernel(kCounts);
  GuestProcess program(
      {"explain", "--kernel", kernel.path(), "--memory", "16M", "--at", "0x100020", "--after", "login:"});
  EXPECT_EQ(program.wait_for_end(kLimit), 0);
  expect_part(program.errors(), "the guest did not write 'login:'");
}

TEST(LookInside, ExplainRefusesInOneSentence) {
  const FlatKernel kernel(kCounts);
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"--at", "schedule"}, {"--at", "0x1", "--symbols", "/nowhere/System.map"}}) {
    std::vector<std::string> arguments = {"explain", "--kernel", kernel.path(), "--memory", "16M"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    GuestProcess program(arguments);
    EXPECT_EQ(program.wait_for_end(kLimit), 2);
    EXPECT_EQ(program.output(), "");
    EXPECT_EQ(program.errors().find('\n'), program.errors().size() - 1) << program.errors();
  }
}

}  // namespace
}  // namespace eidolon::boot_test
