// A processor with 32 MiB of RAM in 64-bit mode, identity-mapped by 2 MiB pages except for one 4 KiB-mapped
// window, on which small programs run to a write of port 0xf4.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <vector>

#include "engine/step/step_engine.h"
#include "cpu/flat_long_mode.h"
#include "engine/translate/translate_engine.h"

namespace eidolon::engine {

class BareMachine {
 public:
  static constexpr uint64_t kRam = 32 << 20;
  static constexpr uint64_t kCode = 0x100000;
  static constexpr uint64_t kStack = 0x200000;
  static constexpr uint64_t kData = 0x300000;
  static constexpr uint64_t kTables = 0x10000;

  explicit BareMachine(bool translate, TranslateEngine::Options options = {})
      : memory_(*memory::GuestMemory::create(kRam)),
        model_(*cpu::CpuidModel::create("host")),
        stopper_(*this) {
    EXPECT_TRUE(memory_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(ports_.attach(0xf4, 1, stopper_, "stop"));
    cpu_ = std::make_unique<cpu::Cpu>(cpu::Surroundings{*memory_, ports_, mmio_, model_});
    enter_long_mode();
    if (translate)
      engine_ = std::move(*TranslateEngine::create(*cpu_, options));
    else
      engine_ = std::make_unique<StepEngine>(*cpu_);
  }

  cpu::State& state() { return cpu_->state; }
  cpu::Cpu& cpu() { return *cpu_; }
  memory::GuestMemory& memory() { return *memory_; }
  Engine& engine() { return *engine_; }

  /// Appends `out 0xf4, al` and runs from kCode.
  Stop run(const std::vector<uint8_t>& code) {
    place(code);
    return run_at(kCode);
  }
  /// Only the first half of it.
  void place(std::vector<uint8_t> code) {
    code.insert(code.end(), {0xe6, 0xf4, 0xeb, 0xfe});
    EXPECT_TRUE(memory_->write(kCode, code.data(), code.size()));
  }
  Stop run_at(uint64_t rip) {
    state().rip = rip;
    return engine_->run();
  }

  /// All of memory is shown once more from `base` on, a multiple of 512 GiB.
  void show_at(uint64_t base) {
    uint64_t entry = 0;
    EXPECT_TRUE(memory_->read(kTables, &entry, sizeof entry));
    EXPECT_TRUE(memory_->write(kTables + (base >> 39 & 511) * sizeof entry, &entry, sizeof entry));
  }
  /// From the current state to CPL 3, with the right to use ports.
  void become_user() {
    for (const x86::Segment segment : {x86::kCs, x86::kSs}) {
      state().segment[segment].selector |= 3;
      state().segment[segment].attributes |= x86::kAttrDpl;
    }
    state().rflags |= x86::kFlagIopl;
  }

 private:
  struct Stopper final : memory::IoHandler {
    explicit Stopper(BareMachine& machine) : machine_(machine) {}
    uint64_t io_read(uint64_t, unsigned) override { return 0xff; }
    void io_write(uint64_t, unsigned, uint64_t) override { machine_.cpu_->events.raise(cpu::kEventStop); }
    BareMachine& machine_;
  };

  void enter_long_mode() {
    cpu::enter_flat_long_mode(state(), *memory_, kTables, kRam);
    state().control.cr4 |= model_.supported_cr4() & x86::kCr4OsXsave;
    state().xcr0 = model_.supported_xcr0();
    state().gpr[x86::kRsp] = kStack;
  }

  std::unique_ptr<memory::GuestMemory> memory_;
  memory::IoBus ports_, mmio_;
  cpu::CpuidModel model_;
  Stopper stopper_;
  std::unique_ptr<cpu::Cpu> cpu_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace eidolon::engine
