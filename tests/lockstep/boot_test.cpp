// Debian's stock kernels, 64-bit and 32-bit, under lockstep, from its first word on the console (which comes
// before it sets up its memory) until its console is there: some twenty million blocks, each compared, and
// all of memory every two million.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "machine/machine.h"

namespace eidolon::machine {
namespace {

/// What the kernel says once early set-up is over.
constexpr const char* kProof = "Console: colour";
constexpr auto kTime = std::chrono::seconds(600);  // a hang must end the test, a slow host must not
/// Fewer would mean that lockstep did not begin where it should.
constexpr uint64_t kLeastRounds = 5'000'000;

/// Ends the machine after a while.
class Alarm {
 public:
  explicit Alarm(Machine& machine)
      : thread_([&machine](const std::stop_token& stop) {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any condition;
          if (!condition.wait_for(lock, stop, kTime, [] { return false; }) && !stop.stop_requested())
            machine.stop();
        }) {}

 private:
  std::jthread thread_;
};

struct Kernel {
  const char* file;
  const char* name;
  const char* script;  ///< what fetches it
};

class LockstepBoot : public testing::TestWithParam<Kernel> {};

TEST_P(LockstepBoot, DebianReachesItsConsole) {
  const std::string kernel = std::string(EIDOLON_GUEST "/") + GetParam().file;
  if (!std::filesystem::exists(kernel)) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest: " << kernel;
    GTEST_SKIP() << "no guest; run " << GetParam().script;
  }
  MachineConfig config;
  config.kernel_path = kernel;
  // With earlyprintk= or nokaslr the decompressor would have the first word.
  config.command_line = "earlycon=uart8250,io,0x3f8 console=ttyS0";
  config.memory_bytes = uint64_t{192} << 20;
  config.engine = EngineChoice::kLockstep;
  config.lockstep_from_port = 0x3f8;
  std::string output;
  Machine* running = nullptr;
  auto machine = Machine::create(config, [&](std::span<const uint8_t> bytes) {
    output.append(bytes.begin(), bytes.end());
    if (output.find(kProof) != std::string::npos) running->stop();
  });
  ASSERT_TRUE(machine) << machine.error().message;
  running = machine->get();
  Ending ending{};
  {
    const Alarm alarm(*running);
    ending = running->run();
  }
  const std::string report = running->engine_report();
  RecordProperty("lockstep", report.substr(0, report.find('\n')));
  EXPECT_EQ(ending.kind, Ending::Kind::kStopped) << report << "\n" << output;
  EXPECT_NE(output.find(kProof), std::string::npos) << output;
  uint64_t rounds = 0;
  ASSERT_EQ(std::sscanf(report.c_str(), "lockstep: %lu rounds", &rounds), 1) << report;
  EXPECT_GE(rounds, kLeastRounds) << output;
}

std::string case_name(const testing::TestParamInfo<Kernel>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Kernels, LockstepBoot,
    testing::Values(Kernel{.file = "vmlinuz", .name = "amd64", .script = "scripts/fetch_guest.sh"},
                    Kernel{
                        .file = "vmlinuz-686-pae", .name = "i686_pae", .script = "scripts/fetch_guest32.sh"}),
    case_name);

}  // namespace
}  // namespace eidolon::machine
