// Kernels of random bytes on both engines: whatever they do, the monitor ends in a documented way, or goes on
// until it is told to end. It never crashes and never hangs.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "boot/os/flat_kernel.h"
#include "boot/os/guest_process.h"
#include "isa/random_code.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

/// How long a kernel may run before it is told to end. Most have ended by a triple fault long before: there
/// is no IDT, so the first exception is the last.
constexpr auto kLife = 1s;
constexpr auto kEndLimit = 60s;

/// Half of the kernels are plain noise; the others are likely to be instructions, and so come further.
std::vector<uint8_t> noise(unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> code;
  isa::RandomCode instructions(seed);
  constexpr size_t kBytes = 2048;
  while (code.size() < kBytes) {
    if (seed % 2 == 0) {
      code.push_back(static_cast<uint8_t>(random()));
    } else {
      const auto bytes = instructions.next(isa::CodeSize::k32);
      code.insert(code.end(), bytes.begin(), bytes.begin() + 1 + static_cast<long>(random() % bytes.size()));
    }
  }
  return code;
}

/// Status 0 (the noise found the power-off register), 3 (a triple fault or a reset), an odd one (the debug
/// port), or that of the signal that we sent.
bool is_documented(int status) { return status == 0 || status % 2 == 1 || status == 128 + SIGTERM; }

class Noise : public testing::TestWithParam<std::tuple<const char*, unsigned>> {};

TEST_P(Noise, EndsInADocumentedWay) {
  const auto& [engine, group] = GetParam();
  constexpr unsigned kSeeds = 20;
  for (unsigned seed = group * kSeeds; seed < (group + 1) * kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const FlatKernel kernel(noise(seed));
    GuestProcess guest(
        {"run", "--kernel", kernel.path(), "--memory", "16M", "--engine", engine, "--no-reboot"});
    guest.close_input();
    int status = guest.wait_for_end(kLife);
    if (status == -1) {
      guest.send_signal(SIGTERM);
      status = guest.wait_for_end(kEndLimit);
    }
    EXPECT_TRUE(is_documented(status)) << "status " << status << "\n" << guest.tail();
    // The engine's name, and how the guest ended: nothing else has a reason to be there.
    EXPECT_LE(std::ranges::count(guest.errors(), '\n'), 2) << guest.errors();
  }
}

std::string case_name(const testing::TestParamInfo<Noise::ParamType>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Engines, Noise,
                         testing::Combine(testing::Values("step", "translate"), testing::Range(0u, 10u)),
                         case_name);

}  // namespace
}  // namespace eidolon::boot_test
