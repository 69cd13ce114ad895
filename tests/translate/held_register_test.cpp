// Accesses that share a check keep a host address in a register: whatever the guest does to that register in
// between, the address must get out of its way and stay known.
#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

void append_move(std::vector<uint8_t>& code, unsigned to, unsigned from) {
  code.push_back(static_cast<uint8_t>(0x48 | (to >= 8 ? 1 : 0) | (from >= 8 ? 4 : 0)));
  code.push_back(0x89);
  code.push_back(static_cast<uint8_t>(0xc0 | (from & 7) << 3 | (to & 7)));
}

/// Loads off the stack pointer, and between them a move from one register to another. The flags are live:
/// putting them aside takes rax. Every register but rax and `to` is used, so that the host address has
/// nowhere else to be.
std::vector<uint8_t> program(unsigned to, unsigned from) {
  std::vector<uint8_t> code{0x48, 0x39, 0xfe,         // cmp rsi, rdi
                            0x48, 0x8b, 0x1c, 0x24};  // mov rbx, [rsp]
  for (unsigned reg = 1; reg < 16; ++reg)
    if (reg != to) append_move(code, reg, reg);
  append_move(code, to, from);
  code.insert(code.end(), {0x48, 0x8b, 0x4c, 0x24, 0x10,    // mov rcx, [rsp + 16]
                           0x48, 0x8b, 0x54, 0x24, 0x18});  // mov rdx, [rsp + 24]
  return code;
}

TEST(TranslateHeldRegister, SurvivesMovesBetweenAllRegisters) {
  BareMachine stepped(false);
  BareMachine translated(true);
  const cpu::State initial = stepped.state();
  for (unsigned pair = 0; pair < 256; ++pair) {
    const unsigned to = pair >> 4, from = pair & 15;
    if (to == x86::kRsp) continue;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state() = initial;
      for (unsigned reg = 0; reg < 16; ++reg) machine->state().gpr[reg] = 0x1111111111111111u * reg;
      machine->state().gpr[x86::kRsp] = BareMachine::kStack;
      for (uint64_t i = 0; i < 4; ++i) {
        const uint64_t value = 0xabcdef00 + i;
        ASSERT_TRUE(machine->memory().write(BareMachine::kStack + i * 8, &value, sizeof value));
      }
      ASSERT_EQ(machine->run(program(to, from)), Stop::kRequested);
    }
    for (unsigned reg = 0; reg < 16; ++reg)
      ASSERT_EQ(stepped.state().gpr[reg], translated.state().gpr[reg])
          << "register " << reg << " after a move from " << from << " to " << to;
  }
}

}  // namespace
}  // namespace eidolon::engine
