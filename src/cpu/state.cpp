#include "cpu/state.h"

#include <cstring>

namespace eidolon::cpu {

void State::reset() {
  using namespace x86;
  *this = State{};
  constexpr uint32_t kData = kAttrPresent | kAttrCodeOrData | kAttrWritable | kAttrAccessed;
  for (SegmentRegister& s : segment) s = {.selector = 0, .attributes = kData, .limit = 0xffff, .base = 0};
  segment[kCs] = {.selector = 0xf000, .attributes = kData | kAttrCode, .limit = 0xffff, .base = 0xffff0000};
  ldtr = {.selector = 0, .attributes = kAttrPresent | kLdt, .limit = 0xffff, .base = 0};
  tr = {.selector = 0, .attributes = kAttrPresent | kTss32Busy, .limit = 0xffff, .base = 0};
  rip = 0xfff0;
  gpr[kRdx] = 0x600;  // family 6, as after a real reset
  control.cr0 = kCr0Et | kCr0Nw | kCr0Cd;

  // x87 and SSE as FNINIT and a reset leave them (SDM volume 3, table 9-1).
  const uint16_t control_word = 0x37f;
  const uint32_t mxcsr = 0x1f80;
  std::memcpy(fpu.bytes.data(), &control_word, sizeof control_word);
  std::memcpy(fpu.bytes.data() + 24, &mxcsr, sizeof mxcsr);
}

}  // namespace eidolon::cpu
