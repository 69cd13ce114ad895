#include "cpu/event_real.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/segmentation.h"
#include "cpu/stack.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

/// Pushes `flags`, CS and IP, and goes to the far pointer of the table.
Outcome<> enter_vector(Cpu& cpu, uint64_t table, uint8_t vector, uint64_t flags) {
  State& state = cpu.state;
  const uint32_t pointer = EIDOLON_TRY(read_system<uint32_t>(cpu, table + vector * 4u));
  const uint64_t offset = pointer & 0xffff;
  Stack stack(cpu);
  EIDOLON_TRY(stack.push(flags, 2));
  EIDOLON_TRY(stack.push(state.segment[x86::kCs].selector, 2));
  EIDOLON_TRY(stack.push(state.rip, 2));
  if (offset > state.segment[x86::kCs].limit) return raise_gp();
  stack.commit();
  load_real_segment(state, x86::kCs, static_cast<uint16_t>(pointer >> 16));
  state.rip = offset;
  return {};
}

}  // namespace

Outcome<> enter_through_ivt(Cpu& cpu, uint8_t vector) {
  State& state = cpu.state;
  if (vector * 4u + 3 > state.idtr.limit) return raise_gp(vector * 8u | x86::kErrorIdt);
  EIDOLON_TRY(enter_vector(cpu, state.idtr.base, vector, state.rflags));
  replace_flags(state, 0, x86::kFlagIf | x86::kFlagTf | x86::kFlagAc | x86::kFlagRf);
  return {};
}

Outcome<bool> is_redirected(Cpu& cpu, uint8_t vector) {
  const State& state = cpu.state;
  if ((state.control.cr4 & x86::kCr4Vme) == 0) return false;
  constexpr uint32_t kMapBase = 102;
  constexpr uint32_t kBitmapSize = 32;
  if (state.tr.limit < kMapBase + 1) return raise_gp();
  const uint32_t map = EIDOLON_TRY(read_system<uint16_t>(cpu, state.tr.base + kMapBase));
  const uint32_t offset = map - kBitmapSize + vector / 8u;
  if (map < kBitmapSize || offset > state.tr.limit) return raise_gp();
  const uint8_t byte = EIDOLON_TRY(read_system<uint8_t>(cpu, state.tr.base + offset));
  return !bit(byte, vector % 8u);
}

Outcome<> enter_redirected(Cpu& cpu, uint8_t vector) {
  State& state = cpu.state;
  const bool virtualized = state.iopl() < 3;
  uint64_t flags = state.rflags;
  if (virtualized) {  // the program sees VIF as IF, and the IOPL that it believes to have
    flags = (flags & ~x86::kFlagIf) | x86::kFlagIopl;
    if ((state.rflags & x86::kFlagVif) != 0) flags |= x86::kFlagIf;
  }
  EIDOLON_TRY(enter_vector(cpu, 0, vector, flags));
  replace_flags(state, 0, x86::kFlagTf | x86::kFlagRf | (virtualized ? x86::kFlagVif : x86::kFlagIf));
  return {};
}

}  // namespace eidolon::cpu
