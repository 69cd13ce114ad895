// Which guest register is where, along a block.
#include <algorithm>

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

/// Puts the guest's values of these registers back into the host's.
void Builder::need(uint16_t registers) {
  make_room(registers);
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
  make_room(bit);
  if (in_slot_ & bit) return;
  if (!(slot_valid_ & bit)) e_.store(layout_.gpr(reg), reg);
  slot_valid_ |= bit;
  in_slot_ |= bit;
}

namespace {
/// So many instructions ahead are looked at for where a register is used next.
constexpr unsigned kFar = 12;
}  // namespace

/// How many instructions the guest's value of the register is not touched, as far as it matters; `read`: then
/// it is read, not overwritten.
unsigned Builder::distance_to_use(unsigned reg, bool& read) const {
  const uint16_t bit = register_bit(reg);
  const auto instructions = analysis_->instructions();
  for (unsigned distance = 1; distance < kFar && index_ + distance < instructions.size(); ++distance) {
    const isa::RegisterUse& use = instructions[index_ + distance].use;
    read = ((use.gpr_read | (use.gpr_written & ~use.gpr_killed)) & bit) != 0;
    if (read || (use.gpr_killed & bit)) return distance;
  }
  read = false;
  return kFar;
}

/// Of some registers, the one whose guest value is touched latest.
unsigned Builder::used_latest(uint16_t registers) const {
  const auto instructions = analysis_->instructions();
  unsigned left = registers;
  for (unsigned distance = 1; distance < kFar && index_ + distance < instructions.size(); ++distance) {
    const isa::RegisterUse& use = instructions[index_ + distance].use;
    const unsigned rest = left & ~unsigned{use.gpr_read} & ~unsigned{use.gpr_written};
    if (rest == 0) break;
    left = rest;
  }
  return static_cast<unsigned>(31 - __builtin_clz(left));
}

/// Of registers whose guest values are needed, the one that is missed latest and costs least; 16: there is
/// none.
unsigned Builder::missed_latest(uint16_t registers) const {
  unsigned best = 16;
  unsigned best_score = 0;
  for (unsigned left = registers; left != 0; left &= left - 1) {
    const auto reg = static_cast<unsigned>(__builtin_ctz(left));
    bool read = false;
    unsigned score = 1 + distance_to_use(reg, read);
    if (!read) score += 12;                           // overwritten: does not have to come back soon, or ever
    if (slot_valid_ & register_bit(reg)) score += 3;  // no store either
    if (score < best_score) continue;
    best_score = score;
    best = reg;
  }
  return best;
}

/// A host register to work with, none of `avoid`: one that is free, else the one whose guest value is missed
/// latest.
unsigned Builder::scratch(uint16_t avoid_given) {
  const uint16_t avoid = avoid_given | pinned_ | register_bit(x86::kRsp) | busy_ | held_registers();
  const auto allowed = static_cast<uint16_t>(~avoid);
  const auto free = static_cast<uint16_t>(in_slot_ & allowed);
  unsigned best = free != 0 ? used_latest(free) : missed_latest(allowed);
  if (best == 16) {
    // All are in use: a span is forgotten, and checked anew if it is met again.
    const auto victim = std::ranges::find_if(
        held_, [&](const Held& h) { return ((avoid_given | busy_) & register_bit(h.reg)) == 0; });
    best = victim->reg;
    held_.erase(victim);
  }
  free_register(best);
  busy_ |= register_bit(best);
  return best;
}

/// Moves spans' host addresses out of these registers, or forgets them.
void Builder::make_room(uint16_t registers) {
  for (size_t i = 0; i < held_.size();) {
    if (!(registers & register_bit(held_[i].reg))) {
      ++i;
      continue;
    }
    const std::optional<unsigned> to = idle_register(registers);
    if (!to) {
      held_.erase(held_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    e_.move(true, *to, held_[i].reg);
    held_[i++].reg = static_cast<uint16_t>(*to);
  }
}

void Builder::hold(const Held& held) { held_.push_back(held); }

/// Forgets the spans that no later instruction has a part in.
void Builder::release_held() {
  std::erase_if(held_, [this](const Held& h) { return spans_.at(h.span).last <= index_; });
}

const Builder::Held* Builder::held(uint16_t span) const {
  const auto found = std::ranges::find(held_, span, &Held::span);
  return found == held_.end() ? nullptr : &*found;
}

uint16_t Builder::held_registers() const {
  uint16_t registers = 0;
  for (const Held& h : held_) registers |= register_bit(h.reg);
  return registers;
}

/// Both use rax, all 32 bits of it, though 16 would do: a load that is wider than the store before it waits.
void Builder::emit_save_flags() { e_.save_flags(layout_.saved_flags()); }
void Builder::emit_restore_flags() { e_.restore_flags(layout_.saved_flags()); }

/// Lets `emit` use rax, whose value waits in a register that nothing is in, if there is one, else in its
/// slot.
template <typename Emit>
void Builder::around_rax(Emit emit) {
  const std::optional<unsigned> idle = idle_register(register_bit(x86::kRax));
  if ((in_slot_ & register_bit(x86::kRax)) != 0 || !idle) {
    free_register(x86::kRax);
    return emit();
  }
  e_.move(true, *idle, x86::kRax);
  emit();
  e_.move(true, x86::kRax, *idle);
}

/// Before code that destroys the flags: puts them aside if the guest may still read them.
void Builder::save_flags_if_live(const DecodedInstruction& d) {
  if (flags_saved_ || d.flags_live_in == 0) return;
  if (!saved_valid_) around_rax([this] { emit_save_flags(); });
  flags_saved_ = saved_valid_ = true;
}

/// A register that holds nothing, none of `avoid`.
std::optional<unsigned> Builder::idle_register(uint16_t avoid) const {
  const unsigned idle = in_slot_ & ~(avoid | busy_ | pinned_ | held_registers()) & 0xffffu;
  if (idle == 0) return std::nullopt;
  return static_cast<unsigned>(31 - __builtin_clz(idle));
}

/// Puts the guest's flags back; uses rax.
void Builder::restore_flags() {
  if (!flags_saved_) return;
  around_rax([this] { emit_restore_flags(); });
  flags_saved_ = false;
}

/// Before the guest's own instruction: it finds the flags that it reads, or passes on.
void Builder::prepare_flags(const DecodedInstruction& d) {
  const bool passes_on = d.use.flags_written != 0 && (d.flags_live_out & ~d.use.flags_killed) != 0;
  if ((d.use.flags_read & kArithmetic) != 0 || passes_on) restore_flags();
}

void Builder::flags_changed(const DecodedInstruction& d) {
  if ((d.use.flags_written & kArithmetic) != 0) flags_saved_ = saved_valid_ = false;
}

/// Everything to its place, as at the entry of a block.
void Builder::settle() {
  held_.clear();
  restore_flags();
  settle_registers();
}

/// The same, but the flags may stay put aside.
void Builder::settle_registers() {
  held_.clear();
  for (unsigned left = homeless(); left != 0; left &= left - 1)
    free_register(static_cast<unsigned>(__builtin_ctz(left)));
  need(static_cast<uint16_t>(~homeless()));
}

}  // namespace eidolon::engine::translate
