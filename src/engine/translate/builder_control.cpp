// Stack instructions and branches: the memory access through the virtual TLB, then the ends of a block.
#include <cstdlib>
#include <utility>

#include "engine/translate/builder.h"
#include "isa/host_faults.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint16_t kRspBit = 1u << x86::kRsp;

bool is_sign_extended_32(uint64_t value) {
  return value == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
}
}  // namespace

void Builder::emit_push(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = d.instruction->operands[0];
  const auto width = static_cast<int>(stack_width());
  const bool immediate = operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  const bool memory = operand.type == ZYDIS_OPERAND_TYPE_MEMORY;
  unsigned source = 0;
  uint16_t sources = 0;
  if (memory) {
    source = load_word(host_address(d, operand, false, kRspBit | register_bit(x86::kRax)));
  } else if (!immediate) {
    source = static_cast<unsigned>(isa::gpr_index(operand.reg.value));
    sources = register_bit(source);
  }
  need(sources | kRspBit);
  const HostAddress to = host_address_of_stack(d, x86::kRsp, -width, stack_width(), true, sources);
  need(sources);
  if (immediate)
    e_.store_constant(width == 8, to.operand(), static_cast<uint32_t>(d.immediate));
  else
    e_.with_operand(Emitter::kStore, width == 8, source, to.operand());
  move_stack(-width);
}

void Builder::emit_pop(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  const auto to = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[0].reg.value));
  need(kRspBit);
  const HostAddress from = host_address_of_stack(d, x86::kRsp, 0, stack_width(), false, register_bit(to));
  e_.with_operand(Emitter::kLoad, width == 8, to, from.operand());
  replaced(register_bit(to));
  if (to != x86::kRsp) move_stack(width);
}

void Builder::emit_leave(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  need(register_bit(x86::kRbp) | kRspBit);
  const HostAddress from = host_address_of_stack(d, x86::kRbp, 0, stack_width(), false, kRspBit);
  e_.with_operand(Emitter::kLea, width == 8, x86::kRsp, {.base = x86::kRbp, .displacement = width});
  e_.with_operand(Emitter::kLoad, width == 8, x86::kRbp,
                  from.operand());  // maybe [rbp + ...], not yet changed
  replaced(register_bit(x86::kRbp) | kRspBit);
}

/// The host's register follows when somebody wants it, once for several pushes or pops.
void Builder::move_stack(int change) {
  stack_behind_ += change;
  changed(kRspBit);
  if (!block_->mode.long_code()) settle_stack();
}

void Builder::settle_stack() { emit_stack_change(0); }

/// Whether the instruction can do with an rsp that is stack_behind_ behind the guest's: it neither uses it
/// otherwise, nor leaves the block, nor faults.
bool Builder::leaves_stack_behind(const DecodedInstruction& d) const {
  if (d.step || !block_->mode.long_code()) return false;
  const isa::Instruction& in = *d.instruction;
  const ZydisDecodedOperand& operand = in.operands[0];
  const int reg = operand.type == ZYDIS_OPERAND_TYPE_REGISTER ? isa::gpr_index(operand.reg.value) : -1;
  const bool of_register = reg >= 0 && reg != x86::kRsp;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      return of_register || operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    case ZYDIS_MNEMONIC_POP:
      return of_register;
    case ZYDIS_MNEMONIC_RET:
      return return_table(block_->mode).has_value();
    default:
      break;
  }
  if (plain_stack_change(d)) return true;
  const bool stays = in.mnemonic() == ZYDIS_MNEMONIC_LEA ||
                     (d.verbatim && !is_division(d) && !isa::may_fault_by_itself(in) &&
                      !isa::memory_operand_is_accessed(in) && in.mnemonic() != ZYDIS_MNEMONIC_PAUSE);
  return in.klass == isa::Class::kInnocuous && stays && ((d.use.gpr_read | d.use.gpr_written) & kRspBit) == 0;
}

/// What an addition to rsp adds, if nobody reads its flags.
std::optional<int> Builder::plain_stack_change(const DecodedInstruction& d) const {
  constexpr int64_t kMost = 1 << 20;
  const isa::Instruction& in = *d.instruction;
  const bool adds = in.mnemonic() == ZYDIS_MNEMONIC_ADD, subtracts = in.mnemonic() == ZYDIS_MNEMONIC_SUB;
  if ((!adds && !subtracts) || !block_->mode.long_code() || d.flags_live_out != 0) return std::nullopt;
  const bool of_rsp =
      in.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && in.operands[0].reg.value == ZYDIS_REGISTER_RSP;
  if (!of_rsp || in.operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || std::abs(d.immediate) > kMost)
    return std::nullopt;
  return static_cast<int>(adds ? d.immediate : -d.immediate);
}

uint32_t Builder::jump_site(const DecodedInstruction* d, uint64_t target) {
  const uint32_t index = add_site(SiteKind::kJump, d);
  sites_[index].target = target;
  return index;
}

/// Adds to rsp, and what has been left for later.
void Builder::emit_stack_change(int change) {
  change += std::exchange(stack_behind_, 0);
  if (change == 0) return;
  e_.with_operand(Emitter::kLea, block_->mode.long_code(), x86::kRsp,
                  {.base = x86::kRsp, .displacement = change});
}

/// All registers must be settled; flags may be put aside.
void Builder::emit_jump(const DecodedInstruction& d, uint64_t target) {
  const uint32_t site = jump_site(&d, target);
  const uint32_t patch = e_.jump();
  sites_[site].patch = patch;
  stubs_.push_back({.patch = patch, .site = site});
}

void Builder::emit_jump_if(const DecodedInstruction& d, unsigned condition, uint64_t target) {
  const uint32_t site = jump_site(&d, target);
  const uint32_t patch = e_.jump_if(condition);
  sites_[site].patch = patch;
  stubs_.push_back({.patch = patch, .site = site});
}

/// The registers stay where they are for those who go on; who leaves settles them on the way.
void Builder::emit_side_exit(const DecodedInstruction& d, unsigned condition, uint64_t target) {
  restore_flags();
  const uint32_t site = jump_site(&d, target);
  const uint32_t patch = e_.jump_if(condition);
  if (in_slot_ != homeless()) {
    side_exits_.push_back({patch, site, in_slot_, slot_valid_});
    return;
  }
  sites_[site].patch = patch;
  stubs_.push_back({.patch = patch, .site = site});
}

/// Behind the block.
void Builder::emit_ways_of_side_exits() {
  pinned_ = 0;
  flags_saved_ = false;
  for (const SideExit& exit : side_exits_) {
    e_.patch_here(exit.patch);
    in_slot_ = exit.in_slot;
    slot_valid_ = exit.slot_valid;
    settle_registers();
    sites_[exit.site].in_slot = in_slot_;
    sites_[exit.site].patch = e_.jump();
    stubs_.push_back({.patch = sites_[exit.site].patch, .site = exit.site});
  }
}

/// The return address onto the stack; rsp is left for later.
void Builder::emit_push_return(const DecodedInstruction& d) {
  const auto width = static_cast<int>(stack_width());
  const uint64_t value = rip_after(d);
  need(kRspBit);
  const HostAddress to = host_address_of_stack(d, x86::kRsp, -width, stack_width(), true, 0);
  if (width == 4 || is_sign_extended_32(value)) {
    e_.store_constant(width == 8, to.operand(), static_cast<uint32_t>(value));
  } else {
    const unsigned constant = scratch(register_bit(to.ours()));
    e_.load_constant(constant, value);
    e_.note(Relocation::Kind::kAddress, 8);
    e_.with_operand(Emitter::kStore, true, constant, to.operand());
  }
}

/// A word of the stack's width, such as the target of an indirect jump, in a scratch register.
unsigned Builder::load_word(const HostAddress& from) {
  const bool kept = ((held_registers() | pinned_) & register_bit(from.ours())) != 0;
  const unsigned to = kept ? scratch(register_bit(x86::kRax) | register_bit(from.base)) : from.ours();
  e_.with_operand(Emitter::kLoad, stack_width() == 8, to, from.operand());
  return to;
}

void Builder::emit_branch(const DecodedInstruction& d) {
  const ZydisDecodedOperand& to = d.instruction->operands[0];
  const auto width = static_cast<int>(stack_width());
  const ZydisMnemonic mnemonic = d.instruction->mnemonic();

  if (mnemonic == ZYDIS_MNEMONIC_RET) {
    const bool has_immediate =
        d.instruction->zydis.operand_count > 0 && to.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    const int released = width + (has_immediate ? static_cast<int>(d.immediate & 0xffff) : 0);
    need(kRspBit);
    const HostAddress from =
        host_address_of_stack(d, x86::kRsp, 0, stack_width(), false, register_bit(x86::kRax));
    const unsigned target = load_word(from);
    emit_return(d, target, released);
    return;
  }

  const bool call = mnemonic == ZYDIS_MNEMONIC_CALL;
  if (to.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    const uint64_t target = truncate(rip_after(d) + static_cast<uint64_t>(d.immediate));
    if (call) {
      emit_push_return(d);
      emit_remember_return(d);
      settle_registers();
      emit_stack_change(-width);
      changed(kRspBit);
      emit_jump(d, target);
      return;
    }
    if (is_loop_jump(d, target)) return emit_loop_jump(d);
    if (!is_last()) return emit_side_exit(d, d.instruction->zydis.opcode & 0xf, target);
    if (mnemonic != ZYDIS_MNEMONIC_JMP) {
      settle();
      emit_jump_if(d, d.instruction->zydis.opcode & 0xf, target);
      emit_jump(d, rip_after(d));
      return;
    }
    settle_registers();
    emit_jump(d, target);
    return;
  }

  unsigned target = 0;
  if (to.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    target = load_word(host_address(d, to, false, register_bit(x86::kRax)));
  } else {
    const auto source = static_cast<unsigned>(isa::gpr_index(to.reg.value));
    save_flags_if_live(d);
    need(register_bit(source));
    target = scratch(register_bit(source) | register_bit(x86::kRax));
    e_.move(width == 8, target, source);
  }
  if (call) {
    // The push may leave and come back: the target waits in memory.
    e_.store(layout_.jump_target(), target);
    busy_ = 0;
    emit_push_return(d);
    emit_remember_return(d);
    busy_ = 0;
    target = scratch(register_bit(x86::kRax));
    e_.load(target, layout_.jump_target());
  }
  emit_indirect(d, target, call ? -width : 0);
}

}  // namespace eidolon::engine::translate
