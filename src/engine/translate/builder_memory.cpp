// Guest addresses to host addresses: the inline virtual TLB (mmu/virtual_tlb.h has the sequence).
#include <bit>

#include "engine/translate/builder.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
static_assert(mmu::VirtualTlb::kEntriesLog2 + x86::kPageShift == 32);  // a 32-bit shift makes the slot

bool has_constant_address(const ZydisDecodedOperand& operand) {
  const bool rip = operand.mem.base == ZYDIS_REGISTER_RIP;
  return (rip || operand.mem.base == ZYDIS_REGISTER_NONE) && operand.mem.index == ZYDIS_REGISTER_NONE &&
         operand.mem.segment != ZYDIS_REGISTER_FS && operand.mem.segment != ZYDIS_REGISTER_GS;
}
}  // namespace

uint16_t Builder::address_registers(const ZydisDecodedOperand& operand) const {
  uint16_t registers = 0;
  for (const ZydisRegister reg : {operand.mem.base, operand.mem.index})
    if (const int index = isa::gpr_index(reg); index >= 0)
      registers |= register_bit(static_cast<unsigned>(index));
  return registers;
}

/// base + index * scale + displacement - offset in the address size, without the segment. Leaves the flags
/// alone. The registers that it reads must be in place.
void Builder::emit_effective_address(unsigned to, const DecodedInstruction& d,
                                     const ZydisDecodedOperand& operand, int32_t offset) {
  const int64_t displacement = d.displacement - offset;
  const bool wide = d.instruction->zydis.address_width == 64;
  const int base = isa::gpr_index(operand.mem.base);
  const int index = isa::gpr_index(operand.mem.index);
  if (base < 0 && index < 0) {
    const bool relative = operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP;
    const uint64_t address = static_cast<uint64_t>(displacement) + (relative ? rip_after(d) : 0);
    e_.load_constant(to, wide ? address : address & 0xffffffff);
    if (relative) e_.note(Relocation::Kind::kAddress, 8);
    return;
  }
  const bool is_register =
      displacement == 0 && (base < 0 || index < 0) && (index < 0 || operand.mem.scale == 1);
  if (is_register) {
    e_.move(wide, to, static_cast<unsigned>(base < 0 ? index : base));
  } else if (base >= 0 && displacement == static_cast<int32_t>(displacement)) {
    isa::HostOperand from{.base = static_cast<unsigned>(base),
                          .displacement = static_cast<int32_t>(displacement)};
    if (index >= 0) {
      from.index = static_cast<unsigned>(index);
      from.scale_log2 = static_cast<unsigned>(std::countr_zero(unsigned{operand.mem.scale}));
    }
    e_.with_operand(Emitter::kLea, wide, to, from);
  } else {
    Xbyak::RegExp expression;
    if (base >= 0) expression = expression + reg64(static_cast<unsigned>(base));
    if (index >= 0) expression = expression + reg64(static_cast<unsigned>(index)) * operand.mem.scale;
    expression = expression + static_cast<size_t>(displacement);
    wide ? e_.lea(reg64(to), ptr[expression]) : e_.lea(reg32(to), ptr[expression]);
  }
}

Builder::Check Builder::check_of(SpanMember member, unsigned size, bool write) const {
  if (!member.shared) return {size, write, write, false, 0};
  const Span& span = spans_.at(member.span);
  return {span.size(), write, span.writes, true, static_cast<uint16_t>(member.offset)};
}

/// Where the operand is in the host's memory, by way of a register that is none of `avoid`.
Builder::HostAddress Builder::host_address(const DecodedInstruction& d, const ZydisDecodedOperand& operand,
                                           bool write, uint16_t avoid) {
  make_room(avoid);
  SpanMember member = spans_.operand(index_);
  if (const auto known = locate_held(d, {&operand, 0, 0}, member)) return *known;
  // The lowest byte of the span has to be within reach of the operand's registers.
  constexpr int64_t kLowest = -(int64_t{1} << 31);
  if (d.displacement < kLowest + member.offset) member = {};
  const unsigned size = isa::memory_bytes(*d.instruction);

  if (has_constant_address(operand) && loop_span(member.span) == nullptr) {
    const Check check = check_of(member, size, write);
    const int32_t offset = member.shared ? member.offset : 0;
    auto linear = static_cast<uint64_t>(d.displacement);
    if (operand.mem.base == ZYDIS_REGISTER_RIP) linear += rip_after(d);
    if (d.instruction->zydis.address_width == 32) linear &= 0xffffffff;
    linear -= static_cast<uint64_t>(offset);
    const uint64_t page = linear & ~x86::kPageMask;
    const bool encodable = page == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(page)));
    if (encodable && (linear & x86::kPageMask) + check.size <= x86::kPageSize) {
      const HostAddress low = look_up_constant(d, linear, check, avoid);
      if (check.shared) hold({member.span, static_cast<uint16_t>(low.base), low.displacement, false});
      return {low.base, low.displacement + offset};
    }
  }
  return locate(d, {&operand, 0, 0}, member, size, write, avoid);
}

/// From an offset in the operand's segment to the linear address.
void Builder::add_segment_base(unsigned address, const ZydisDecodedOperand& operand) {
  if (operand.mem.segment == ZYDIS_REGISTER_FS) add_segment_base(address, x86::kFs);
  if (operand.mem.segment == ZYDIS_REGISTER_GS) add_segment_base(address, x86::kGs);
}
void Builder::add_segment_base(unsigned address, x86::Segment segment) {
  e_.gs();
  if (block_->mode.long_code())
    e_.add(reg64(address), ptr[Xbyak::RegExp(layout_.segment_base(segment))]);
  else
    e_.add(reg32(address), dword[Xbyak::RegExp(layout_.segment_base(segment))]);
}

/// The same for a stack access of `size` bytes at [base + displacement].
Builder::HostAddress Builder::host_address_of_stack(const DecodedInstruction& d, unsigned base,
                                                    int displacement, unsigned size, bool write,
                                                    uint16_t avoid) {
  make_room(avoid);
  const SpanMember member = spans_.stack(index_);
  const int behind = base == x86::kRsp ? stack_behind_ : 0;
  if (const auto known = locate_held(d, {nullptr, base, displacement + behind}, member)) return *known;
  settle_stack();
  return locate(d, {nullptr, base, displacement}, member, size, write, avoid);
}

/// By a span that was checked before.
std::optional<Builder::HostAddress> Builder::locate_held(const DecodedInstruction& d, const Source& source,
                                                         SpanMember member) {
  const Held* h = held(member.span);
  if (h == nullptr) return std::nullopt;
  if (!h->is_delta) return HostAddress{h->reg, h->bias + member.offset};
  const auto known = by_delta(d, source, h->reg);
  if (!known) return std::nullopt;
  need(register_bit(known->base));  // which may have been where the delta was
  h = held(member.span);
  return h == nullptr ? std::nullopt : by_delta(d, source, h->reg);
}

/// The operand by its own register and the delta of its page, if it has just one register and its address
/// wraps around where the host's addresses do.
std::optional<Builder::HostAddress> Builder::by_delta(const DecodedInstruction& d, const Source& source,
                                                      unsigned delta) const {
  if (!block_->mode.long_code()) return std::nullopt;
  if (source.operand == nullptr) return HostAddress{source.base, source.displacement, delta};
  const ZydisDecodedOperand& operand = *source.operand;
  const int base = isa::gpr_index(operand.mem.base);
  const bool segment = operand.mem.segment == ZYDIS_REGISTER_FS || operand.mem.segment == ZYDIS_REGISTER_GS;
  if (base < 0 || operand.mem.index != ZYDIS_REGISTER_NONE || segment ||
      d.instruction->zydis.address_width != 64)
    return std::nullopt;
  return HostAddress{static_cast<unsigned>(base), static_cast<int32_t>(d.displacement), delta};
}

Builder::HostAddress Builder::locate(const DecodedInstruction& d, const Source& source, SpanMember member,
                                     unsigned size, bool write, uint16_t avoid) {
  const uint16_t parts =
      source.operand != nullptr ? address_registers(*source.operand) : register_bit(source.base);
  if (const LoopSpan* span = loop_span(member.span))
    return locate_in_loop(*span, d, source, member, avoid | parts);
  const Check check = check_of(member, size, write);
  save_flags_if_live(d);
  need(parts);
  const unsigned address = scratch(avoid | parts);
  const unsigned index = scratch(avoid | parts);
  const uint32_t restart = e_.at();
  emit_linear(address, d, source, member.offset);
  look_up(d, address, index, check, restart);
  if (const auto at = by_delta(d, source, index)) {
    load_delta(index, index);
    busy_ &= static_cast<uint16_t>(~register_bit(address));
    if (check.shared) hold({member.span, static_cast<uint16_t>(index), 0, true});
    return *at;
  }
  add_host(address, index, check.write_tag);
  busy_ &= static_cast<uint16_t>(~register_bit(index));
  if (check.shared) hold({member.span, static_cast<uint16_t>(address), 0, false});
  return {address, member.offset};
}

/// Before an instruction that replaces all flags, which nobody reads until then, and behind which the next
/// emitted code that would change them is the check of an access to the stack: makes the check here, so that
/// the flags need not be put aside for it.
void Builder::hoist_stack_check(const DecodedInstruction& d) {
  const auto instructions = analysis_->instructions();
  if (!block_->mode.long_code() || block_->unshared || d.flags_live_in != 0 || d.flags_live_out == 0) return;
  if ((d.use.flags_killed & kArithmetic) != kArithmetic) return;
  if (isa::memory_operand_is_accessed(*d.instruction)) return;
  size_t next = index_ + 1;
  for (; next < instructions.size(); ++next) {
    const DecodedInstruction& later = instructions[next];
    if (later.step || later.flags_live_in == 0) return;
    if (spans_.stack(next).span != SpanMember::kNone) break;
    if (later.instruction->klass != isa::Class::kInnocuous ||
        isa::memory_operand_is_accessed(*later.instruction))
      return;
  }
  if (next == instructions.size()) return;
  const DecodedInstruction& access = instructions[next];
  if (access.instruction->klass == isa::Class::kControlFlow &&
      access.instruction->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY)
    return;
  SpanMember member = spans_.stack(next);
  const Span& span = spans_.at(member.span);
  const Spans::Value& rsp = spans_.rsp(index_);
  if (held(member.span) != nullptr || loop_span(member.span) != nullptr) return;
  if (spans_.key(member.span).base != rsp.id) return;
  const int64_t displacement = span.low - rsp.offset;
  if (displacement != static_cast<int32_t>(displacement)) return;
  const auto first = static_cast<uint32_t>(sites_.size());
  member = {member.span, 0, true};
  make_room(d.use.gpr_read | d.use.gpr_written);
  settle_stack();
  (void)locate(d, {nullptr, x86::kRsp, static_cast<int>(displacement)}, member, span.size(), span.writes,
               d.use.gpr_read | d.use.gpr_written);
  busy_ = 0;
  for (uint32_t site = first; site < sites_.size(); ++site) sites_[site].hoisted = true;
}

/// The linear address less `offset`. The registers that it depends on must be in place.
void Builder::emit_linear(unsigned to, const DecodedInstruction& d, const Source& source, int32_t offset) {
  const bool wide = block_->mode.long_code();
  if (source.operand == nullptr) {
    const int displacement = source.displacement - offset;
    if (displacement == 0)
      e_.move(wide, to, source.base);
    else
      e_.with_operand(Emitter::kLea, wide, to, {.base = source.base, .displacement = displacement});
    return;
  }
  emit_effective_address(to, d, *source.operand, offset);
  add_segment_base(to, *source.operand);
}

/// `address` holds a linear address and becomes the offset in its page, `index` what add_host() wants.
/// `restart` is where to try again after a miss: nothing between there and here may depend on either scratch
/// register, nor store a guest register.
void Builder::look_up(const DecodedInstruction& d, unsigned address, unsigned index, const Check& check,
                      uint32_t restart) {
  probe(address, index, check.write_tag);
  Stub& stub = add_miss(d, check, restart, jump_if_outside(address, check.size));
  stub.address = Stub::Address::kRegister;
  stub.address_register = static_cast<uint8_t>(address);
  stub.index_register = static_cast<uint8_t>(index);
  stub.write_tag = check.write_tag;
  if (check.shared) {
    Site& site = sites_[stub.site];
    site.spans = true;
    site.patch = stub.patch;
    site.address_register = stub.address_register;
    site.index_register = stub.index_register;
    site.slot_valid = slot_valid_;
  }
}

/// Selects the TLB entry of the linear address in `address`, which becomes the offset in the page, or 4096 or
/// more if the entry is not the page's.
void Builder::probe(unsigned address, unsigned index, bool write) {
  e_.move(false, index, address);
  e_.shift_right32(index, x86::kPageShift);
  emit_recover_linear(address, index, write);
}

/// Between the linear address and what probe() makes of it, both ways.
void Builder::emit_recover_linear(unsigned address, unsigned index, bool write) {
  e_.with_element(Emitter::Operation::kXor, address, index, layout_.tlb_tag(block_->mode.view(), write));
}

/// After probe(): the jump that is taken unless all of the `size` bytes are in the page.
uint32_t Builder::jump_if_outside(unsigned address, unsigned size) {
  const auto last = static_cast<uint32_t>(x86::kPageSize - size);
  return e_.compare_and_jump([&] { e_.compare64(address, last); }, kConditionA);
}

/// The offset in the page becomes the host address, by the entry that probe() selected.
void Builder::add_host(unsigned address, unsigned index, bool write) {
  const mmu::View view = block_->mode.view();
  e_.with_element(Emitter::Operation::kAdd, address, index, layout_.tlb_tag(view, write));
  e_.with_element(Emitter::Operation::kAdd, address, index, layout_.tlb_delta(view));
}
void Builder::load_delta(unsigned to, unsigned index) {
  e_.with_element(Emitter::Operation::kMove, to, index, layout_.tlb_delta(block_->mode.view()));
}

/// A linear address known now selects its TLB entry now.
Builder::HostAddress Builder::look_up_constant(const DecodedInstruction& d, uint64_t linear,
                                               const Check& check, uint16_t avoid) {
  save_flags_if_live(d);
  const unsigned address = scratch(avoid);
  const uint32_t restart = e_.at();
  const mmu::View view = block_->mode.view();
  const uint32_t entry = mmu::VirtualTlb::slot(linear) * uint32_t{sizeof(uint64_t)};
  e_.gs();
  e_.cmp(qword[Xbyak::RegExp(layout_.tlb_tag(view, check.write_tag) + entry)],
         static_cast<uint32_t>(linear & ~x86::kPageMask));
  const Stub& stub = add_miss(d, check, restart, e_.jump_if(kConditionNe));
  sites_[stub.site].constant = true;
  sites_[stub.site].target = linear;
  e_.load(address, layout_.tlb_delta(view) + entry);
  return {address, static_cast<int32_t>(linear)};
}

/// The site that a miss leaves from.
uint32_t Builder::memory_site(const DecodedInstruction& d, const Check& check, uint32_t restart) {
  const uint32_t index = add_site(SiteKind::kMemory, &d);
  Site& site = sites_[index];
  site.resume = restart;
  site.size = static_cast<uint16_t>(check.size);
  site.access_offset = check.access_offset;
  site.write = check.write;
  site.write_tag = check.write_tag;
  return index;
}

Builder::Stub& Builder::add_miss(const DecodedInstruction& d, const Check& check, uint32_t restart,
                                 uint32_t patch) {
  const uint32_t site = memory_site(d, check, restart);
  Stub& stub = stubs_.emplace_back();
  stub.patch = patch;
  stub.site = site;
  return stub;
}

/// The guest's instruction with its memory operand at the host address.
void Builder::emit_memory(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = *isa::memory_operand(*d.instruction);
  const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  // Registers of the instruction are avoided, also those that it replaces: a fault must find their old
  // values. rax is what restoring flags needs. A high-byte register forbids the REX prefix that an upper
  // register needs.
  uint16_t avoid = d.use.gpr_read | d.use.gpr_written;
  if (flags_saved_ || d.flags_live_in != 0) avoid |= register_bit(x86::kRax);
  if (d.use.uses_high_byte) avoid |= 0xff00;
  const HostAddress at = host_address(d, operand, write, avoid);
  busy_ |= register_bit(at.ours());
  isa::HostBytes host;
  if (!isa::rewrite_operand(*d.instruction, analysis_->bytes(d), at.operand(), host)) {
    leave(add_site(SiteKind::kStep, &d));
    return;
  }
  if (is_division(d)) leave_if_division_fails(d, &at);
  emit_native(d, host.span());
}

void Builder::emit_lea(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = d.instruction->operands[1];
  const int to = isa::gpr_index(d.instruction->operands[0].reg.value);
  const unsigned width = d.instruction->zydis.operand_width;
  if (width == 16) {
    // Only the low half changes: by way of a scratch register.
    const uint16_t parts = address_registers(operand);
    need(parts | register_bit(static_cast<unsigned>(to)));
    const unsigned address = scratch(parts | register_bit(static_cast<unsigned>(to)));
    emit_effective_address(address, d, operand);
    e_.mov(Xbyak::Reg16(to), Xbyak::Reg16(static_cast<int>(address)));
    changed(register_bit(static_cast<unsigned>(to)));
    return;
  }
  need(address_registers(operand));
  make_room(register_bit(static_cast<unsigned>(to)));
  emit_effective_address(static_cast<unsigned>(to), d, operand);
  if (width == 32 && d.instruction->zydis.address_width == 64)
    e_.mov(reg32(static_cast<unsigned>(to)), reg32(static_cast<unsigned>(to)));
  replaced(register_bit(static_cast<unsigned>(to)));
}

}  // namespace eidolon::engine::translate
