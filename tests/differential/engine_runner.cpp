#include "differential/engine_runner.h"

#include <cstring>

#include "base/assert.h"
#include "x86/paging.h"

namespace eidolon::differential {

namespace {

// Guest-physical layout.
constexpr uint64_t kRam = 1 << 20;
constexpr uint64_t kTables = 0x1000;  // PML4, PDPT, PD, and a page table each for arena and code
constexpr uint64_t kArenaPhysical = 0x20000;
constexpr uint64_t kCodePhysical = 0x40000;

}  // namespace

struct EngineRunner::Machine {
  Machine()
      : memory(memory::GuestMemory::create(kRam).value()),
        model(cpu::CpuidModel::create("host").value()),
        cpu({*memory, ports, mmio, model}) {}
  std::unique_ptr<memory::GuestMemory> memory;
  memory::IoBus ports, mmio;
  cpu::CpuidModel model;
  cpu::Cpu cpu;
};

EngineRunner::EngineRunner(std::string name, const MakeEngine& make)
    : name_(std::move(name)), machine_(std::make_unique<Machine>()) {
  EIDOLON_ASSERT(machine_->memory->add_region(0, kRam, memory::RegionKind::kRam).has_value());
  const auto put = [this](uint64_t at, uint64_t entry) {
    EIDOLON_ASSERT(machine_->memory->write(at, &entry, sizeof entry));
  };
  constexpr uint64_t kAll = x86::kPtePresent | x86::kPteWritable | x86::kPteUser;
  put(kTables, (kTables + 0x1000) | kAll);
  put(kTables + 0x1000, (kTables + 0x2000) | kAll);
  put(kTables + 0x2000 + (kArena >> 21) * 8, (kTables + 0x3000) | kAll);
  put(kTables + 0x2000 + (kCode >> 21) * 8, (kTables + 0x4000) | kAll);
  constexpr uint64_t kReadable = x86::kPtePresent | x86::kPteUser;
  for (uint64_t at = 0; at < kArenaSize; at += kPage)
    put(kTables + 0x3000 + at / kPage * 8, (kArenaPhysical + at) | (at < kArenaWritable ? kAll : kReadable));
  for (uint64_t at = 0; at < kCodeSize; at += kPage)
    put(kTables + 0x4000 + at / kPage * 8, (kCodePhysical + at) | kReadable);
  execute_ = make(machine_->cpu);
}

EngineRunner::~EngineRunner() = default;

void EngineRunner::run(const Case& test, Result& result) {
  using namespace x86;
  memory::GuestMemory& memory = *machine_->memory;
  cpu::State& state = machine_->cpu.state;
  std::array<uint8_t, kCodeSize> code;
  code.fill(0xcc);
  std::memcpy(code.data() + (test.before.rip - kCode), test.code.data(), test.code_length);
  EIDOLON_ASSERT(memory.write(kCodePhysical, code.data(), code.size()));
  EIDOLON_ASSERT(memory.write(kArenaPhysical, test.arena.data(), test.arena.size()));

  state.reset();
  state.control.cr0 = kCr0Pe | kCr0Pg | kCr0Wp | kCr0Ne | kCr0Mp | kCr0Et;
  state.control.cr3 = kTables;
  state.control.cr4 = kCr4Pae | kCr4OsFxsr | kCr4OsXmmExcpt | kCr4OsXsave;
  state.control.efer = kEferLme | kEferLma | kEferNxe | kEferSce;
  state.xcr0 = machine_->model.supported_xcr0();
  constexpr uint32_t kFlat = kAttrPresent | kAttrCodeOrData | kAttrWritable | kAttrAccessed | kAttrGranular |
                             kAttrBig | 3u << kAttrDplShift;
  for (cpu::SegmentRegister& s : state.segment)
    s = {.selector = 0x2b, .attributes = kFlat, .limit = 0xffffffff, .base = 0};
  const bool wide = test.code_size == isa::CodeSize::k64;
  state.segment[kCs].attributes = (kFlat & ~kAttrBig) | kAttrCode | (wide ? kAttrLong : kAttrBig);
  state.gpr = test.before.gpr;
  state.rip = test.before.rip;
  state.rflags = test.before.flags | kFlagFixed | kFlagIf;
  state.fpu = test.before.fpu;

  const cpu::Outcome<> outcome = execute_(test);
  result.vector = outcome ? -1 : outcome.error().vector;
  result.error = outcome ? 0 : outcome.error().error;
  result.address = !outcome && outcome.error().vector == kPageFault ? outcome.error().address : 0;
  result.after.gpr = state.gpr;
  result.after.rip = state.rip;
  result.after.flags = state.rflags & (kFlagsArithmetic | kFlagDf);
  result.after.fpu = state.fpu;
  EIDOLON_ASSERT(memory.read(kArenaPhysical, result.arena.data(), result.arena.size()));
}

}  // namespace eidolon::differential
