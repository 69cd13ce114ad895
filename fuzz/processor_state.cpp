// Hostile processor states: the saved state of a processor in one of its modes, damaged, and loaded. Either
// it is refused with a sentence, or the processor can go on from it.
#include <cstring>
#include <memory>

#include "base/assert.h"
#include "cpu/saved_state.h"
#include "engine/step/step_engine.h"
#include "input.h"

namespace {

using namespace eidolon;
using namespace eidolon::x86;

constexpr uint64_t kRam = 1 << 20;

struct Board {
  std::unique_ptr<memory::GuestMemory> memory = memory::GuestMemory::create(kRam).value();
  memory::IoBus ports, mmio;
  cpu::CpuidModel model = cpu::CpuidModel::create("host").value();
  std::unique_ptr<cpu::Cpu> cpu =
      std::make_unique<cpu::Cpu>(cpu::Surroundings{*memory, ports, mmio, model, nullptr});
  engine::StepEngine engine{*cpu};

  Board() { EIDOLON_ASSERT(memory->add_region(0, kRam, memory::RegionKind::kRam).has_value()); }
};

/// One for the whole run: what a state that was loaded leaves behind is not to harm the next either.
Board& board() {
  static Board board;
  return board;
}

void enter_mode(cpu::State& state, unsigned mode) {
  constexpr uint32_t kCode =
      kAttrPresent | kAttrCodeOrData | kAttrCode | kAttrReadable | kAttrAccessed | kAttrGranular;
  state.reset();
  state.rip = 0x1000;
  if (mode == 0) return;
  state.control.cr0 |= kCr0Pe;
  state.segment[kCs] = {.selector = 8, .attributes = kCode | kAttrBig, .limit = 0xffffffff, .base = 0};
  if (mode == 1) return;
  state.control = {.cr0 = kCr0Pe | kCr0Pg | kCr0Et,
                   .cr3 = 0x10000,
                   .cr4 = kCr4Pae | kCr4OsFxsr,
                   .efer = kEferLme | kEferLma,
                   .pdpte = {}};
  state.segment[kCs].attributes = kCode | kAttrLong;
}

/// Tables that map the first GiB onto itself, and random code.
void fill_memory(memory::GuestMemory& memory, fuzz::InputBytes& input) {
  const auto put = [&memory](uint64_t at, uint64_t value) {
    EIDOLON_ASSERT(memory.write(at, &value, sizeof value));
  };
  put(0x10000, 0x11007);
  put(0x11000, 0x12007);
  for (uint64_t i = 0; i < 512; ++i) put(0x12000 + 8 * i, i << 21 | 0x87);
  for (uint64_t at = 0x1000; at < 0x1100; at += 8) put(at, input.take<uint64_t>());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::InputBytes input({data, size});
  Board& on = board();
  enter_mode(on.cpu->state, input.take<uint8_t>() % 3);
  fill_memory(*on.memory, input);
  StateWriter writer;
  cpu::save_processor(writer, *on.cpu, 0);
  while (!input.empty()) {
    std::vector<uint8_t> bytes = writer.bytes();
    for (unsigned damage = input.take<uint8_t>() % 4; damage > 0; --damage)
      bytes[input.take<uint16_t>() % bytes.size()] ^= static_cast<uint8_t>(1u << (input.take<uint8_t>() & 7));
    StateReader reader(bytes);
    const Result<> loaded = cpu::load_processor(reader, *on.cpu, input.take<uint64_t>());
    EIDOLON_ASSERT(loaded || !loaded.error().message.empty());
    for (unsigned steps = loaded ? 20 : 0; steps > 0 && on.engine.step(); --steps) continue;
  }
  return 0;
}
