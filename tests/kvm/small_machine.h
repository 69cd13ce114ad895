// A processor with 16 MiB of RAM in 64-bit mode (or in real mode, where a reset leaves it), one port that
// stops it, one device in memory, and interrupts that a test raises: what an engine needs to run code.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/flat_long_mode.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/kvm/system.h"
#include "engine/step/step_engine.h"

namespace eidolon::engine {

/// The host's KVM; a test that needs it is skipped where there is none.
class KvmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto system = kvm::System::open(); !system) GTEST_SKIP() << system.error().message;
  }
};

class SmallMachine {
 public:
  static constexpr uint64_t kRam = 16 << 20, kCode = 0x100000, kData = 0x300000, kStack = 0x200000;
  static constexpr uint64_t kDevice = 0xfd000000, kIdt = 0x20000;
  static constexpr uint16_t kStop = 0xf4;

  /// `apic`: whom the processor asks for interrupts, instead of interrupts().
  explicit SmallMachine(cpu::InterruptSource* apic = nullptr)
      : memory_(*memory::GuestMemory::create(kRam + (1 << 20))),
        model_(*cpu::CpuidModel::create("host", *kvm::supported_features())) {
    EXPECT_TRUE(memory_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(ports_.attach(kStop, 1, stopper_, "stop"));
    EXPECT_TRUE(mmio_.attach(kDevice, 0x1000, device_, "device"));
    cpu::InterruptSource* source = apic != nullptr ? apic : &interrupts_;
    cpu_ = std::make_unique<cpu::Cpu>(cpu::Surroundings{*memory_, ports_, mmio_, model_, source});
    stopper_.cpu = cpu_.get();
  }

  struct Device final : memory::IoHandler {
    uint64_t io_read(uint64_t offset, unsigned size) override {
      last_size = size;
      return value + offset;
    }
    void io_write(uint64_t, unsigned size, uint64_t written) override {
      last_size = size;
      value = written;
    }
    uint64_t value = 0;
    unsigned last_size = 0;
  };
  /// One vector at a time.
  class Interrupts final : public cpu::InterruptSource {
   public:
    void raise(cpu::Cpu& cpu, uint8_t vector) {
      vector_ = vector;
      cpu.events.raise(cpu::kEventInterrupt);
    }
    bool interrupt_pending() override { return vector_ != 0 && vector_ >> 4 > priority_; }
    std::optional<uint8_t> acknowledge() override {
      const uint8_t vector = vector_.exchange(0);
      return vector != 0 ? std::optional(vector) : std::nullopt;
    }
    uint8_t task_priority() override { return priority_; }
    void set_task_priority(uint8_t cr8) override { priority_ = cr8; }
    cpu::Outcome<uint64_t> read_msr(uint32_t msr) override {
      return msr == x86::kMsrApicBase ? 0xfee00d00 : 7;
    }
    cpu::Outcome<> write_msr(uint32_t, uint64_t value) override {
      written = value;
      return {};
    }
    void init() override {}
    uint64_t written = 0;

   private:
    std::atomic<uint8_t> vector_{0};
    uint8_t priority_ = 0;
  };

  cpu::Cpu& cpu() { return *cpu_; }
  cpu::State& state() { return cpu_->state; }
  memory::GuestMemory& memory() { return *memory_; }
  memory::IoBus& mmio() { return mmio_; }
  Device& device() { return device_; }
  Interrupts& interrupts() { return interrupts_; }
  template <typename T>
  T read(uint64_t address) {
    T value{};
    EXPECT_TRUE(memory_->read(address, &value, sizeof value));
    return value;
  }

  Result<std::unique_ptr<KvmEngine>> try_kvm_engine() {
    auto machine = kvm::VirtualMachine::create(*memory_);
    EXPECT_TRUE(machine) << machine.error().message;
    return KvmEngine::create(*cpu_, std::move(*machine));
  }
  std::unique_ptr<Engine> kvm_engine() {
    auto engine = try_kvm_engine();
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
  }
  std::unique_ptr<Engine> step_engine() { return std::make_unique<StepEngine>(*cpu_); }

  /// `code`, and then OUT to the port that stops.
  void load(std::vector<uint8_t> code, uint64_t at = kCode) {
    code.insert(code.end(), {0xe6, kStop, 0xeb, 0xfe});
    EXPECT_TRUE(memory_->write(at, code.data(), code.size()));
    state().rip = at;
  }

  /// With a GDT for interrupts.
  void enter_long_mode() {
    constexpr uint64_t kGdt = 0x30000, kFourGib = uint64_t{4} << 30;
    const std::array<uint64_t, 3> descriptors = {0, 0x00af9b000000ffff,
                                                 0x00cf93000000ffff};  // none, code, data
    cpu::enter_flat_long_mode(state(), *memory_, 0x10000, kFourGib);
    EXPECT_TRUE(memory_->write(kGdt, descriptors.data(), sizeof descriptors));
    state().gpr[x86::kRsp] = kStack;
    state().idtr = {.base = kIdt, .limit = 0xfff};
    state().gdtr = {.base = kGdt, .limit = 0xff};
  }
  /// An interrupt gate.
  void handle(uint8_t vector, const std::vector<uint8_t>& code, uint64_t at) {
    EXPECT_TRUE(memory_->write(at, code.data(), code.size()));
    const uint64_t low = (at & 0xffff) | 8u << 16 | uint64_t{0x8e00} << 32 | (at >> 16 & 0xffff) << 48,
                   high = 0;
    EXPECT_TRUE(memory_->write(kIdt + vector * 16u, &low, 8));
    EXPECT_TRUE(memory_->write(kIdt + vector * 16u + 8, &high, 8));
  }

 private:
  struct Stopper final : memory::IoHandler {
    uint64_t io_read(uint64_t, unsigned) override { return 0x5a; }
    void io_write(uint64_t, unsigned, uint64_t) override { cpu->events.raise(cpu::kEventStop); }
    cpu::Cpu* cpu = nullptr;
  };
  std::unique_ptr<memory::GuestMemory> memory_;
  memory::IoBus ports_, mmio_;
  cpu::CpuidModel model_;
  Stopper stopper_;
  Device device_;
  Interrupts interrupts_;
  std::unique_ptr<cpu::Cpu> cpu_;
};

}  // namespace eidolon::engine
