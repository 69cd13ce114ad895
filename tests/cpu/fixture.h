// A processor over a little memory, put into each mode by hand, which executes sensitive instructions given
// as bytes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bits.h"
#include "cpu/cpu.h"
#include "cpu/segmentation.h"
#include "cpu/sensitive.h"
#include "isa/decoder.h"

namespace eidolon::cpu {

/// Ports or MMIO registers that log writes and answer reads with a fixed value.
class RecordingDevice : public memory::IoHandler {
 public:
  struct Access {
    uint64_t offset;
    unsigned size;
    uint64_t value;
    bool operator==(const Access&) const = default;
  };
  uint64_t io_read(uint64_t offset, unsigned size) override {
    reads.push_back({offset, size, 0});
    return answer & mask_below(size * 8);
  }
  void io_write(uint64_t offset, unsigned size, uint64_t value) override {
    writes.push_back({offset, size, value});
  }
  std::vector<Access> reads, writes;
  uint64_t answer = 0x8877665544332211;
};

/// A local APIC with one register of everything.
class FakeInterrupts : public InterruptSource {
 public:
  bool interrupt_pending() override { return false; }
  std::optional<uint8_t> acknowledge() override { return std::nullopt; }
  uint8_t task_priority() override { return priority; }
  void set_task_priority(uint8_t cr8) override { priority = cr8; }
  Outcome<uint64_t> read_msr(uint32_t msr) override { return msr + uint64_t{1}; }
  Outcome<> write_msr(uint32_t msr, uint64_t value) override {
    if (value == 0xbad) return raise_gp();
    last_msr = msr;
    last_value = value;
    return {};
  }
  void tsc_changed(uint64_t offset) override { tsc_offset = offset; }
  void init() override {}

  uint64_t tsc_offset = 0;
  uint8_t priority = 0;
  uint32_t last_msr = 0;
  uint64_t last_value = 0;
};

/// The host's model, made once: it costs some milliseconds.
inline const CpuidModel& host_model() {
  static const CpuidModel model = CpuidModel::create("host").value();
  return model;
}

class CpuTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kRamSize = 4 << 20;
  static constexpr uint64_t kCode = 0x10000;  ///< where RIP starts
  static constexpr uint64_t kData = 0x20000;  ///< free for tests
  static constexpr uint64_t kStackTop = 0x38000;
  static constexpr uint64_t kGdt = 0x40000;  ///< 64 KiB of zeros with the limit of a page
  static constexpr uint64_t kTss = 0x60000;
  static constexpr uint64_t kTables = 0x70000;  ///< long mode: PML4, PDPT, and directories of 2 MiB pages

  CpuTest() : CpuTest(host_model()) {}
  explicit CpuTest(const CpuidModel& model)
      : memory(memory::GuestMemory::create(kRamSize).value()),
        cpu(std::make_unique<Cpu>(Surroundings{*memory, ports, mmio, model, &interrupts})),
        state(cpu->state) {
    EXPECT_TRUE(memory->add_region(0, kRamSize, memory::RegionKind::kRam));
    EXPECT_TRUE(ports.attach(0x100, 0x10, device, "recorder"));
    real_mode();
  }

  void real_mode() {
    state.reset();
    for (x86::Segment s : {x86::kEs, x86::kCs, x86::kSs, x86::kDs, x86::kFs, x86::kGs}) {
      state.segment[s].selector = 0;
      state.segment[s].base = 0;
    }
    state.rip = 0x1000;
    state.gpr[x86::kRsp] = 0x8000;
    cpu->mmu.invalidate_all();
  }

  /// Flat 32-bit protected mode without paging.
  void protected_mode(unsigned cpl = 0) {
    real_mode();
    state.control.cr0 |= x86::kCr0Pe;
    flat_segments(cpl, x86::kAttrBig);
    state.rip = kCode;
    state.gpr[x86::kRsp] = kStackTop;
    state.gdtr = {.base = kGdt, .limit = 0xfff};
    state.tr = {
        .selector = 0x100, .attributes = x86::kAttrPresent | x86::kTss32Busy, .limit = 0x2fff, .base = kTss};
  }

  void virtual_8086(unsigned iopl = 3) {
    protected_mode(3);
    for (x86::Segment s : {x86::kEs, x86::kCs, x86::kSs, x86::kDs, x86::kFs, x86::kGs}) {
      state.segment[s] = {.selector = 0,
                          .attributes = x86::kAttrPresent | x86::kAttrCodeOrData | x86::kAttrWritable |
                                        x86::kAttrAccessed | 3u << x86::kAttrDplShift,
                          .limit = 0xffff,
                          .base = 0};
    }
    state.rflags |= x86::kFlagVm | uint64_t{iopl} << x86::kFlagIoplShift;
    state.rip = 0x1000;
    state.gpr[x86::kRsp] = 0x8000;
  }

  /// 64-bit mode, the first GiB mapped onto itself for user and supervisor.
  void long_mode(unsigned cpl = 0) {
    protected_mode(cpl);
    constexpr uint64_t kFlags = x86::kPtePresent | x86::kPteWritable | x86::kPteUser;
    put<uint64_t>(kTables, (kTables + 0x1000) | kFlags);
    put<uint64_t>(kTables + 0x1000, (kTables + 0x2000) | kFlags);
    for (uint64_t i = 0; i < 512; ++i) {
      put<uint64_t>(kTables + 0x2000 + 8 * i, i << 21 | kFlags | x86::kPteLarge);
    }
    state.control.cr3 = kTables;
    state.control.cr4 = x86::kCr4Pae | x86::kCr4OsFxsr | (x86::kCr4OsXsave & cpu->model.supported_cr4());
    state.control.efer = x86::kEferLme | x86::kEferLma | x86::kEferSce | x86::kEferNxe;
    state.control.cr0 |= x86::kCr0Pg | x86::kCr0Wp;
    flat_segments(cpl, x86::kAttrLong);
    cpu->mmu.invalidate_all();
  }

  /// Executes one instruction of a sensitive class.
  Outcome<> run(const std::vector<int>& bytes) {
    std::vector<uint8_t> code(bytes.begin(), bytes.end());
    isa::Instruction instruction;
    const isa::DecodeStatus status = decoder_.decode(code_size(state), code, instruction);
    EXPECT_EQ(status, isa::DecodeStatus::kOk);
    if (status != isa::DecodeStatus::kOk) return raise_ud();
    return execute_sensitive(*cpu, instruction);
  }

  template <typename T>
  void put(uint64_t address, T value) {
    EXPECT_TRUE(memory->write(address, &value, sizeof value));
  }
  template <typename T>
  T get(uint64_t address) {
    T value{};
    EXPECT_TRUE(memory->read(address, &value, sizeof value));
    return value;
  }

  std::unique_ptr<memory::GuestMemory> memory;
  memory::IoBus ports, mmio;
  RecordingDevice device;  ///< at ports 0x100 to 0x10f
  FakeInterrupts interrupts;
  std::unique_ptr<Cpu> cpu;
  State& state;

 private:
  void flat_segments(unsigned cpl, uint32_t code_bits) {
    using namespace x86;
    const uint32_t common =
        kAttrPresent | kAttrCodeOrData | kAttrWritable | kAttrAccessed | kAttrGranular | cpl << kAttrDplShift;
    const auto rpl = static_cast<uint16_t>(cpl);
    for (SegmentRegister& s : state.segment) {
      s = {.selector = static_cast<uint16_t>(0x10 | rpl),
           .attributes = common | kAttrBig,
           .limit = 0xffffffff,
           .base = 0};
    }
    state.segment[kCs].selector = static_cast<uint16_t>(8 | rpl);
    state.segment[kCs].attributes = common | kAttrCode | code_bits;
  }

  isa::Decoder decoder_;
};

/// A run that was to fault: `EXPECT_EQ(vector_of(run(...)), x86::kGeneralProtection)`; -1 if it did not.
template <typename T>
int vector_of(const Outcome<T>& outcome) {
  return outcome.has_value() ? -1 : outcome.error().vector;
}

}  // namespace eidolon::cpu
