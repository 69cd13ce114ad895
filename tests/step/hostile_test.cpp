// Memory full of noise, executed in every mode: whatever the guest does, the monitor goes on.
#include <random>

#include "engine/events.h"
#include "isa/random_code.h"
#include "step/fixture.h"

namespace eidolon::engine {
namespace {

class StepHostile : public StepTest {
 protected:
  /// `steps` instructions of noise, from a new state whenever the guest has brought itself to a halt.
  template <typename Enter>
  void run_noise(isa::CodeSize size, unsigned steps, Enter enter) {
    isa::RandomCode noise(0xbad5eed);
    std::mt19937_64 random(0x5eed);
    unsigned left_in_life = 0;
    for (unsigned i = 0; i < steps; ++i) {
      if (left_in_life == 0 || state.activity != cpu::Activity::kRunning) {
        enter();
        for (unsigned r = 0; r < x86::kGprCount; ++r)
          state.gpr[r] = random() % 4 == 0 ? random() : random() % kRamSize;
        left_in_life = 40;
      }
      --left_in_life;
      const uint64_t base = state.long_code() ? 0 : state.segment[x86::kCs].base;
      const uint64_t at = (base + state.rip) & 0xffffffff;
      const auto bytes = noise.next(size);
      static_cast<void>(memory->write(at, bytes.data(), bytes.size()));
      if (!engine.step()) left_in_life = 0;
    }
    SUCCEED();
  }
};

TEST_F(StepHostile, RealMode) {
  run_noise(isa::CodeSize::k16, 60000, [this] { real_mode(); });
}
TEST_F(StepHostile, ProtectedMode) {
  run_noise(isa::CodeSize::k32, 60000, [this] { protected_mode(); });
}
TEST_F(StepHostile, Virtual8086) {
  run_noise(isa::CodeSize::k16, 60000, [this] { virtual_8086(); });
}
TEST_F(StepHostile, LongModeKernel) {
  run_noise(isa::CodeSize::k64, 100000, [this] { long_mode(); });
}
TEST_F(StepHostile, LongModeUser) {
  run_noise(isa::CodeSize::k64, 60000, [this] { long_mode(3); });
}

}  // namespace
}  // namespace eidolon::engine
