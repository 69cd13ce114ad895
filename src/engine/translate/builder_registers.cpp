// Which guest register is where, along a block.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

/// Puts the guest's values of these registers back into the host's.
void Builder::need(uint16_t registers) {
  for (unsigned missing = registers & in_slot_; missing != 0; missing &= missing - 1) {
    const auto reg = static_cast<unsigned>(__builtin_ctz(missing));
    e_.load(reg, layout_.gpr(reg));
  }
  in_slot_ &= static_cast<uint16_t>(~registers);
}

/// The host's registers now hold new values of these guest registers.
void Builder::changed(uint16_t registers) { slot_valid_ &= static_cast<uint16_t>(~registers); }
void Builder::replaced(uint16_t registers) {
  in_slot_ &= static_cast<uint16_t>(~registers);
  changed(registers);
}

/// Makes the host's register free: its guest value is in the slot.
void Builder::free_register(unsigned reg) {
  const uint16_t bit = register_bit(reg);
  if (in_slot_ & bit) return;
  if (!(slot_valid_ & bit)) e_.store(layout_.gpr(reg), reg);
  slot_valid_ |= bit;
  in_slot_ |= bit;
}

/// A host register to work with, none of `avoid`: the one whose guest value is missed latest.
unsigned Builder::scratch(uint16_t avoid) {
  avoid |= register_bit(x86::kRsp);
  if (const unsigned ready = in_slot_ & ~avoid & 0xffffu; ready != 0) {
    // From the top: the upper registers are those that 32-bit code does not have.
    return 31u - static_cast<unsigned>(__builtin_clz(ready));
  }
  unsigned best = 0;
  int best_score = -1;
  const auto instructions = analysis_->instructions();
  for (unsigned reg = 0; reg < 16; ++reg) {
    const uint16_t bit = register_bit(reg);
    if (avoid & bit) continue;
    int score = 0;
    bool read = false;
    for (size_t i = index_ + 1; i < instructions.size() && i < index_ + 12; ++i) {
      const isa::RegisterUse& use = instructions[i].use;
      if ((use.gpr_read | (use.gpr_written & ~use.gpr_killed)) & bit) {
        read = true;
        break;
      }
      if (use.gpr_killed & bit) {
        score += 12;  // overwritten: never has to come back
        break;
      }
      ++score;
    }
    if (!read) score += 4;
    if (slot_valid_ & bit) score += 3;  // no store either
    if (score > best_score) {
      best_score = score;
      best = reg;
    }
  }
  free_register(best);
  return best;
}

/// Before code that destroys the flags: puts them aside if the guest may still read them.
void Builder::save_flags_if_live(const DecodedInstruction& d) {
  if (flags_saved_ || d.flags_live_in == 0) return;
  free_register(x86::kRax);
  e_.lahf();
  e_.seto(al);
  e_.movzx(eax, ax);
  e_.gs();
  e_.mov(dword[Xbyak::RegExp(layout_.saved_flags())], eax);
  flags_saved_ = true;
}

/// Puts the guest's flags back; uses rax.
void Builder::restore_flags() {
  if (!flags_saved_) return;
  free_register(x86::kRax);
  e_.gs();
  e_.mov(eax, dword[Xbyak::RegExp(layout_.saved_flags())]);
  e_.add(al, 0x7f);
  e_.sahf();
  flags_saved_ = false;
}

/// Before the guest's own instruction: it finds the flags that it reads, or passes on.
void Builder::prepare_flags(const DecodedInstruction& d) {
  const bool passes_on = d.use.flags_written != 0 && (d.flags_live_out & ~d.use.flags_killed) != 0;
  if ((d.use.flags_read & kArithmetic) != 0 || passes_on) restore_flags();
}

void Builder::flags_changed(const DecodedInstruction& d) {
  if ((d.use.flags_written & kArithmetic) != 0) flags_saved_ = false;
}

/// Everything to its place, as at the entry of a block.
void Builder::settle() {
  restore_flags();
  need(block_->mode.long_code() ? 0xffff : 0x00ff);
}

}  // namespace eidolon::engine::translate
