// Every guest program of tests/guest on every engine: it checks itself, reports on the serial port, and says
// by its exit status whether all was well.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

struct Program {
  std::string name;
  int status;  ///< expected of the monitor
};

std::vector<Program> programs() {
  std::vector<Program> found;
  std::ifstream list(EIDOLON_GUEST_PROGRAMS "/guest_programs.txt");
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string name;
    std::string status;
    if (line.starts_with("#") || !(words >> name >> status)) continue;
    found.push_back({.name = name, .status = status == "reset" ? 3 : std::stoi(status)});
  }
  return found;
}

/// Engine, program, processors.
using Case = std::tuple<const char*, Program, const char*>;
class GuestPrograms : public testing::TestWithParam<Case> {};

TEST_P(GuestPrograms, FindsNothingWrong) {
  const auto& [engine, program, processors] = GetParam();
  GuestProcess guest({"run", "--kernel", EIDOLON_GUEST_PROGRAMS "/" + program.name + ".elf", "--memory",
                      "128M", "--engine", engine, "--cpus", processors, "--no-reboot"});
  guest.close_input();
  EXPECT_EQ(guest.wait_for_end(std::chrono::seconds(120)), program.status) << guest.tail();
  EXPECT_EQ(guest.output().find("FAIL"), std::string::npos) << guest.output();
  EXPECT_NE(guest.output().find("PASS"), std::string::npos) << "it checked nothing\n" << guest.tail();
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Engines, GuestPrograms,
                         testing::Combine(testing::Values("step", "translate"), testing::ValuesIn(programs()),
                                          testing::Values("1")),
                         case_name);
// Those that use as many processors as there are (tests/guest/runtime/smp.h): four are enough for every test
// of theirs, and 3 times 3 leave out APIC IDs. Four that wait for each other are slow one instruction at a
// time.
INSTANTIATE_TEST_SUITE_P(OnTwo, GuestPrograms,
                         testing::Combine(testing::Values("step"),
                                          testing::Values(Program{"smp", 1}, Program{"litmus", 1}),
                                          testing::Values("2")),
                         case_name);
INSTANTIATE_TEST_SUITE_P(OnFour, GuestPrograms,
                         testing::Combine(testing::Values("translate"),
                                          testing::Values(Program{"smp", 1}, Program{"litmus", 1}),
                                          testing::Values("4")),
                         case_name);
INSTANTIATE_TEST_SUITE_P(OnSockets, GuestPrograms,
                         testing::Combine(testing::Values("translate"), testing::Values(Program{"smp", 1}),
                                          testing::Values("sockets=3,cores=3")),
                         case_name);

}  // namespace
}  // namespace eidolon::boot_test
