// Debian's stock kernel under lockstep: decompression, early set-up, and as far as the time allows. Every
// block is compared, all of memory now and then and at the end.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "machine/machine.h"

namespace eidolon::machine {
namespace {

/// What the kernel says once early set-up is over: interrupts, timers and the console work.
constexpr const char* kProof = "Console: colour";

TEST(LockstepBoot, DebianReachesItsConsole) {
  const std::string kernel = EIDOLON_GUEST "/vmlinuz";
  if (!std::filesystem::exists(kernel)) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no guest: " << kernel;
    GTEST_SKIP() << "no guest; run scripts/fetch_guest.sh";
  }
  MachineConfig config;
  config.kernel_path = kernel;
  config.command_line = "earlyprintk=serial console=ttyS0 nokaslr";
  config.memory_bytes = uint64_t{192} << 20;
  config.engine = EngineChoice::kLockstep;
  std::string output;
  Machine* running = nullptr;
  auto machine = Machine::create(config, [&](std::span<const uint8_t> bytes) {
    output.append(bytes.begin(), bytes.end());
    if (output.find(kProof) != std::string::npos) running->stop();
  });
  ASSERT_TRUE(machine) << machine.error().message;
  running = machine->get();
  const Ending ending = running->run();
  EXPECT_EQ(ending.kind, Ending::Kind::kStopped) << running->engine_report() << "\n" << output;
  EXPECT_NE(output.find(kProof), std::string::npos) << output;
}

}  // namespace
}  // namespace eidolon::machine
