// A processor in 64-bit mode with 16 MiB of identity-mapped RAM and a port 0xf4 that stops it, under
// lockstep.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cpu/flat_long_mode.h"
#include "engine/lockstep/lockstep_engine.h"

namespace eidolon::engine {

class SmallGuest {
 public:
  static constexpr uint64_t kRam = 16 << 20;
  static constexpr uint64_t kCode = 0x100000;
  static constexpr uint64_t kData = 0x300000;

  explicit SmallGuest(LockstepEngine::Options options = {})
      : memory_(*memory::GuestMemory::create(kRam)), model_(*cpu::CpuidModel::create("x86-64-v2")) {
    EXPECT_TRUE(memory_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(ports_.attach(0xf4, 1, stopper_, "stop"));
    EXPECT_TRUE(ports_.attach(0x60, 1, counter_, "counter"));
    cpu_ = std::make_unique<cpu::Cpu>(cpu::Surroundings{*memory_, ports_, mmio_, model_});
    stopper_.cpu = cpu_.get();
    enter_long_mode();
    engine_ = std::move(*LockstepEngine::create(*cpu_, std::move(options)));
  }

  cpu::State& state() { return cpu_->state; }
  memory::GuestMemory& memory() { return *memory_; }
  LockstepEngine& engine() { return *engine_; }

  /// Appends `out 0xf4, al` and runs.
  Stop run(std::vector<uint8_t> code) {
    code.insert(code.end(), {0xe6, 0xf4, 0xeb, 0xfe});
    EXPECT_TRUE(memory_->write(kCode, code.data(), code.size()));
    state().rip = kCode;
    return engine_->run();
  }

 private:
  struct Stopper final : memory::IoHandler {
    uint64_t io_read(uint64_t, unsigned) override { return 0xff; }
    void io_write(uint64_t, unsigned, uint64_t) override { cpu->events.raise(cpu::kEventStop); }
    cpu::Cpu* cpu = nullptr;
  };
  /// Never answers the same twice.
  struct Counter final : memory::IoHandler {
    uint64_t io_read(uint64_t, unsigned) override { return ++count & 0xff; }
    void io_write(uint64_t, unsigned, uint64_t) override {}
    uint64_t count = 0;
  };

  void enter_long_mode() {
    cpu::enter_flat_long_mode(state(), *memory_, 0x10000, kRam);
    state().gpr[x86::kRsp] = 0x200000;
  }

  std::unique_ptr<memory::GuestMemory> memory_;
  memory::IoBus ports_, mmio_;
  cpu::CpuidModel model_;
  Stopper stopper_;
  Counter counter_;
  std::unique_ptr<cpu::Cpu> cpu_;
  std::unique_ptr<LockstepEngine> engine_;
};

}  // namespace eidolon::engine
