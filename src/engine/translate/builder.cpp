#include "engine/translate/builder.h"

#include "base/assert.h"
#include "isa/host_faults.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

void Builder::build(Block& block, const Analysis& analysis, Entry entry) {
  block_ = &block;
  analysis_ = &analysis;
  stubs_.clear();
  side_exits_.clear();
  landing_.reset();
  opened_.reset();
  placed_.clear();
  const auto place = [&] { placed_.push_back({e_.at(), in_slot_, flags_saved_}); };
  in_slot_ = slot_valid_ = homeless();
  held_.clear();
  loop_spans_.clear();
  loop_misses_.clear();
  pinned_ = busy_ = 0;
  stack_behind_ = 0;
  const auto instructions = analysis.instructions();
  spans_.run(instructions, block.rip, block.mode, !block.unshared);
  block.length = analysis.length();
  block.instructions = static_cast<uint32_t>(instructions.size());
  block.flags_live_in = instructions[0].flags_live_in != 0;
  block.flags_saved_in = block.flags_live_in && prefers_flags_saved();
  flags_saved_ = saved_valid_ = block.flags_saved_in;
  block.first_site = static_cast<uint32_t>(sites_.size());
  block.watches = analysis.peeked();

  begin_relocations();
  emit_head(entry);
  prepare_loop();
  if (!loop_spans_.empty()) emit_loop_head();
  bool ended = false;
  for (index_ = 0; index_ < instructions.size(); ++index_) {
    const DecodedInstruction& d = instructions[index_];
    if (stack_behind_ != 0 && !leaves_stack_behind(d)) settle_stack();
    place();
    if (d.step) {
      leave_to_step(d);
      ended = true;
      break;
    }
    emit_instruction(index_);
    busy_ = 0;
    release_held();
    const bool jumps = d.instruction->klass == isa::Class::kControlFlow || is_inline_transfer(*d.instruction);
    if (jumps && is_last()) ended = true;
  }
  settle_stack();
  place();
  if (!ended) {
    settle_registers();
    emit_jump(instructions.back(), truncate(block.rip + block.length));
  }
  place();
  emit_ways_of_side_exits();
  block.end = e_.at();
  block.cold_begin = e_.cold_at();
  e_.go_cold();
  emit_stubs();
  block.cold_end = e_.at();
  e_.go_hot();
  block.site_count = static_cast<uint32_t>(sites_.size()) - block.first_site;
  end_relocations();
}

void Builder::emit_instruction(size_t index) {
  const DecodedInstruction& d = analysis_->instructions()[index];
  switch (d.instruction->klass) {
    case isa::Class::kControlFlow:
      emit_branch(d);
      return;
    case isa::Class::kStack:
      if (d.instruction->mnemonic() == ZYDIS_MNEMONIC_PUSH) return emit_push(d);
      if (d.instruction->mnemonic() == ZYDIS_MNEMONIC_POP) return emit_pop(d);
      return emit_leave(d);
    case isa::Class::kString:
      return emit_string(d);
    case isa::Class::kImplicitMemory:
      return emit_bit_string(d);
    case isa::Class::kControlSensitive:
    case isa::Class::kBehaviourSensitive:
      return emit_system(d);
    default:
      break;
  }
  if (d.instruction->mnemonic() == ZYDIS_MNEMONIC_LEA) return emit_lea(d);
  if (isa::memory_operand_is_accessed(*d.instruction)) return emit_memory(d);
  if (isa::has_explicit_memory(*d.instruction)) return;  // a hint: nop, prefetch
  emit_plain(d);
}

void Builder::emit_plain(const DecodedInstruction& d) {
  const ZydisMnemonic mnemonic = d.instruction->mnemonic();
  if (mnemonic == ZYDIS_MNEMONIC_NOP) return;
  if (mnemonic == ZYDIS_MNEMONIC_PAUSE) return emit_pause(d);
  if (mnemonic == ZYDIS_MNEMONIC_CLD || mnemonic == ZYDIS_MNEMONIC_STD) return emit_direction(d);
  if (const auto change = plain_stack_change(d)) {
    stack_behind_ += *change;
    return changed(register_bit(x86::kRsp));
  }
  if (d.verbatim && !is_division(d)) return emit_native(d, analysis_->bytes(d));
  isa::HostBytes host;
  if (!isa::rewrite_plain(*d.instruction, analysis_->bytes(d), host)) {
    leave(add_site(SiteKind::kStep, &d));
    return;
  }
  if (is_division(d)) leave_if_division_fails(d, nullptr);
  emit_native(d, host.span());
}

// The guest's DF lives in State::rflags only: the monitor's C++ wants the host's clear. String instructions
// look there (builder_string.cpp).
void Builder::emit_direction(const DecodedInstruction& d) {
  save_flags_if_live(d);
  emit_flag(x86::kFlagDf, d.instruction->mnemonic() == ZYDIS_MNEMONIC_STD);
}

// The guest's own instruction, with its registers and flags in place around it.
void Builder::emit_native(const DecodedInstruction& d, std::span<const uint8_t> host_bytes) {
  hoist_stack_check(d);
  prepare_flags(d);
  const auto partly_written = static_cast<uint16_t>(d.use.gpr_written & ~d.use.gpr_killed);
  make_room(d.use.gpr_written | d.use.gpr_read);  // at once: else one could move to where the other was
  need(d.use.gpr_read | partly_written);
  // A register that is replaced must not be noted as replaced before the instruction has succeeded: a fault
  // in it finds the old value in the slot.
  const auto instructions = analysis_->instructions();
  if (!is_last() && instructions[index_ + 1].instruction->klass == isa::Class::kControlFlow)
    e_.keep_in_line(static_cast<uint32_t>(host_bytes.size()) + Emitter::kJumpIfBytes);
  e_.bytes(host_bytes);
  note_fault_point(d);
  replaced(d.use.gpr_killed);
  changed(partly_written);
  flags_changed(d);
}

namespace {
/// cpu::execute_sensitive has it, and it leaves x87 and vector state alone or is for light exits all the
/// same.
bool is_sensitive(const isa::Instruction& instruction) {
  return instruction.klass == isa::Class::kControlSensitive ||
         instruction.klass == isa::Class::kBehaviourSensitive || moves_extended_state(instruction);
}
}  // namespace

uint32_t Builder::add_site(SiteKind kind, const DecodedInstruction* d) {
  Site site{};
  site.block = block_;
  site.kind = kind;
  if (d != nullptr) {
    site.guest_offset = d->offset;
    site.mnemonic = static_cast<uint16_t>(d->instruction->mnemonic());
    site.live_in = FlagSet(d->flags_live_in);
    site.live_out = FlagSet(d->flags_live_out);
    if (kind == SiteKind::kStep && is_sensitive(*d->instruction))
      site.sensitive = pool_.keep(*d->instruction, analysis_->bytes(*d));
  }
  site.in_slot = in_slot_;
  site.flags_saved = flags_saved_;
  sites_.push_back(site);
  return static_cast<uint32_t>(sites_.size() - 1);
}

void Builder::leave(uint32_t site) { leave(site, trampolines_.exit); }

void Builder::leave(uint32_t site, uint32_t way_out) {
  e_.store32(layout_.site(), site);
  e_.note(Relocation::Kind::kSite);
  e_.jump(way_out);
}

/// The end of a block.
void Builder::leave_to_step(const DecodedInstruction& d) {
  if (!block_->mode.long_code() || !is_sensitive(*d.instruction)) return leave(add_site(SiteKind::kStep, &d));
  save_flags_if_live(d);
  settle_registers();
  leave(add_site(SiteKind::kStep, &d), trampolines_.exit_settled);
}

void Builder::note_fault_point(const DecodedInstruction& d) {
  if (!isa::may_fault_by_itself(*d.instruction)) return;
  faults_.push_back({block_, e_.at(), d.offset, in_slot_, FlagSet(d.flags_live_in), FlagSet(d.flags_live_out),
                     flags_saved_});
}

void Builder::emit_stubs() {
  for (const Stub& stub : stubs_) emit_stub(stub);
  for (const LoopMiss& miss : loop_misses_) emit_loop_miss(miss);
  if (!loop_spans_.empty()) emit_loop_ahead();
  if (landing_) emit_landing(*landing_);
}

void Builder::emit_stub(const Stub& stub) {
  const bool miss = stub.address == Stub::Address::kRegister;
  const uint32_t way_out =
      miss ? miss_routine(stub.address_register, stub.index_register, stub.write_tag) : trampolines_.exit;
  e_.patch_here(stub.patch);
  if (sites_[stub.site].patch != kNone) sites_[stub.site].stub = e_.at();
  if (stub.rcx_in_r11) e_.mov(rcx, r11);
  if (stub.address == Stub::Address::kTarget) e_.store(layout_.address(), stub.address_register);
  leave(stub.site, way_out);
}

/// What all misses of look_up() with these registers share.
uint32_t Builder::miss_routine(unsigned address, unsigned index, bool write_tag) {
  const auto view = static_cast<size_t>(block_->mode.view());
  const size_t which = ((address * 16 + index) * mmu::kViewCount + view) * 2 + (write_tag ? 1u : 0u);
  if (miss_routines_[which] != 0) return miss_routines_[which];
  miss_routines_[which] = e_.at();
  emit_recover_linear(address, index, write_tag);
  e_.store(layout_.address(), address);
  e_.jump(trampolines_.exit);
  return miss_routines_[which];
}

uint32_t Builder::meet_two_pages(uint32_t index) {
  const Site site = sites_[index];
  block_ = site.block;
  held_.clear();
  pinned_ = busy_ = 0;
  e_.go_cold();
  e_.patch_here(site.patch);
  emit_recover_linear(site.address_register, site.index_register, site.write_tag);
  const uint32_t two_pages = jump_if_two_pages(index, site.address_register, site.index_register);
  e_.store(layout_.address(), site.address_register);
  leave(index);
  e_.patch_here(two_pages);
  const uint32_t here = e_.at();
  emit_unshared_jump(index, site.slot_valid);
  sites_[index].spans = false;
  e_.go_hot();
  return here;
}

/// With the linear address of the site's span in `address`: the jump that is taken if it lies in two pages.
uint32_t Builder::jump_if_two_pages(uint32_t site, unsigned address, unsigned index) {
  const Xbyak::Reg32 offset(static_cast<int>(index));
  e_.mov(offset, Xbyak::Reg32(static_cast<int>(address)));
  e_.and_(offset, static_cast<uint32_t>(x86::kPageMask));
  e_.cmp(offset, static_cast<uint32_t>(x86::kPageSize) - sites_[site].size);
  return e_.jump_if(kConditionA);
}

/// The span lies in two pages: the rest of the block is run by one that shares nothing, from this instruction
/// on.
void Builder::emit_unshared_jump(uint32_t from, uint16_t slot_valid) {
  in_slot_ = sites_[from].in_slot;
  slot_valid_ = slot_valid;
  flags_saved_ = sites_[from].flags_saved;
  settle_registers();
  Site site = sites_[from];
  site.kind = SiteKind::kJump;
  site.unshared = true;
  site.spans = false;
  site.in_slot = in_slot_;
  site.target = truncate(block_->rip + site.guest_offset);
  site.resume = kNone;
  site.patch = e_.jump();
  e_.patch_here(site.patch);
  site.stub = e_.at();
  const auto index = static_cast<uint32_t>(sites_.size());
  sites_.push_back(site);
  leave(index);
}

}  // namespace eidolon::engine::translate
