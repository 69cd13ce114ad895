// Guest addresses to host addresses: the inline virtual TLB (mmu/virtual_tlb.h has the sequence).
#include "engine/translate/builder.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr int kEntryShift = x86::kPageShift - 5;  // entries of 32 bytes
constexpr uint32_t kIndexMask = (mmu::VirtualTlb::kEntries - 1) << 5;

Xbyak::Reg64 reg64(unsigned reg) { return Xbyak::Reg64(static_cast<int>(reg)); }
Xbyak::Reg32 reg32(unsigned reg) { return Xbyak::Reg32(static_cast<int>(reg)); }

int64_t displacement_of(const ZydisDecodedOperand& operand) {
  return operand.mem.disp.has_displacement ? operand.mem.disp.value : 0;
}

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
  const int64_t displacement = displacement_of(operand) - offset;
  const bool wide = d.instruction.zydis.address_width == 64;
  const int base = isa::gpr_index(operand.mem.base);
  const int index = isa::gpr_index(operand.mem.index);
  if (base < 0 && index < 0) {
    uint64_t address = static_cast<uint64_t>(displacement);
    if (operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP)
      address += rip_after(d);
    e_.load_constant(to, wide ? address : address & 0xffffffff);
    return;
  }
  Xbyak::RegExp expression;
  if (base >= 0) expression = expression + reg64(static_cast<unsigned>(base));
  if (index >= 0) expression = expression + reg64(static_cast<unsigned>(index)) * operand.mem.scale;
  expression = expression + static_cast<size_t>(displacement);
  const bool is_register =
      displacement == 0 && (base < 0 || index < 0) && (index < 0 || operand.mem.scale == 1);
  if (is_register) {
    const auto from = static_cast<unsigned>(base < 0 ? index : base);
    wide ? e_.mov(reg64(to), reg64(from)) : e_.mov(reg32(to), reg32(from));
  } else {
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
  if (const Held* h = held(member.span)) return {h->reg, h->bias + member.offset};
  // The lowest byte of the span has to be within reach of the operand's registers.
  constexpr int64_t kLowest = -(int64_t{1} << 31);
  if (displacement_of(operand) < kLowest + member.offset) member = {};
  const unsigned size = isa::memory_bytes(d.instruction);

  if (has_constant_address(operand) && loop_span(member.span) == nullptr) {
    const Check check = check_of(member, size, write);
    const int32_t offset = member.shared ? member.offset : 0;
    auto linear = static_cast<uint64_t>(displacement_of(operand));
    if (operand.mem.base == ZYDIS_REGISTER_RIP) linear += rip_after(d);
    if (d.instruction.zydis.address_width == 32) linear &= 0xffffffff;
    linear -= static_cast<uint64_t>(offset);
    const uint64_t page = linear & ~x86::kPageMask;
    const bool encodable = page == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(page)));
    if (encodable && (linear & x86::kPageMask) + check.size <= x86::kPageSize) {
      const HostAddress low = look_up_constant(d, linear, check, avoid);
      if (check.shared) hold(member.span, low.base, low.displacement);
      return {low.base, low.displacement + offset};
    }
  }
  return locate(d, {&operand, 0, 0}, member, size, write, avoid);
}

/// From an offset in the operand's segment to the linear address.
void Builder::add_segment_base(unsigned address, const ZydisDecodedOperand& operand) {
  if (operand.mem.segment != ZYDIS_REGISTER_FS && operand.mem.segment != ZYDIS_REGISTER_GS) return;
  const auto segment = operand.mem.segment == ZYDIS_REGISTER_FS ? x86::kFs : x86::kGs;
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
  if (const Held* h = held(member.span)) return {h->reg, h->bias + member.offset};
  return locate(d, {nullptr, base, displacement}, member, size, write, avoid);
}

Builder::HostAddress Builder::locate(const DecodedInstruction& d, const Source& source, SpanMember member,
                                     unsigned size, bool write, uint16_t avoid) {
  const uint16_t parts =
      source.operand != nullptr ? address_registers(*source.operand) : register_bit(source.base);
  const Check check = check_of(member, size, write);
  save_flags_if_live(d);
  need(parts);
  if (const LoopSpan* span = loop_span(member.span))
    return locate_in_loop(*span, d, source, member, check, avoid | parts);
  const unsigned address = scratch(avoid | parts);
  const unsigned index = scratch(avoid | parts);
  const uint32_t restart = e_.at();
  emit_linear(address, d, source, member.offset);
  look_up(d, address, index, check, restart);
  busy_ &= static_cast<uint16_t>(~register_bit(index));
  if (check.shared) hold(member.span, address, 0);
  return {address, member.offset};
}

/// The linear address less `offset`. The registers that it depends on must be in place.
void Builder::emit_linear(unsigned to, const DecodedInstruction& d, const Source& source, int32_t offset) {
  const bool wide = block_->mode.long_code();
  if (source.operand == nullptr) {
    const int displacement = source.displacement - offset;
    if (displacement == 0)
      wide ? e_.mov(reg64(to), reg64(source.base)) : e_.mov(reg32(to), reg32(source.base));
    else if (wide)
      e_.lea(reg64(to), ptr[reg64(source.base) + displacement]);
    else
      e_.lea(reg32(to), ptr[reg64(source.base) + displacement]);
    return;
  }
  emit_effective_address(to, d, *source.operand, offset);
  add_segment_base(to, *source.operand);
}

/// `address` holds a linear address and becomes the host address; `index` is for work. `restart` is where to
/// try again after a miss: nothing between there and here may depend on either scratch register, nor store a
/// guest register.
void Builder::look_up(const DecodedInstruction& d, unsigned address, unsigned index, const Check& check,
                      uint32_t restart) {
  const uint32_t tag_displacement = probe(address, index, check.write_tag);
  Stub& stub = add_miss(d, check, restart, jump_if_outside(address, check.size));
  stub.address = Stub::Address::kRegister;
  stub.address_register = static_cast<uint8_t>(address);
  stub.index_register = static_cast<uint8_t>(index);
  stub.tag_displacement = tag_displacement;
  if (check.shared) stub.shared = &d;
  add_host(address, index);
}

/// Selects the TLB entry of the linear address in `address`, which becomes the offset in the page, or 4096 or
/// more if the entry is not the page's. Returns the displacement of the tag.
uint32_t Builder::probe(unsigned address, unsigned index, bool write) {
  const size_t tag = write ? offsetof(mmu::TlbEntry, write_tag) : offsetof(mmu::TlbEntry, read_tag);
  const uint32_t tag_displacement = layout_.tlb(block_->mode.view(), tag);
  e_.mov(reg32(index), reg32(address));
  e_.shr(reg32(index), kEntryShift);
  e_.and_(reg32(index), kIndexMask);
  e_.gs();
  e_.xor_(reg64(address), ptr[reg64(index) + size_t{tag_displacement}]);
  return tag_displacement;
}

/// After probe(): the jump that is taken unless all of the `size` bytes are in the page.
uint32_t Builder::jump_if_outside(unsigned address, unsigned size) {
  const auto last = static_cast<uint32_t>(x86::kPageSize - size);
  return e_.compare_and_jump([&] { e_.cmp(reg64(address), last); }, kConditionA);
}

/// The offset in the page becomes the host address, by the entry that probe() selected.
void Builder::add_host(unsigned address, unsigned index) {
  const uint32_t host = layout_.tlb(block_->mode.view(), offsetof(mmu::TlbEntry, host));
  e_.gs();
  e_.add(reg64(address), ptr[reg64(index) + size_t{host}]);
}
void Builder::load_host(unsigned to, unsigned index) {
  const uint32_t host = layout_.tlb(block_->mode.view(), offsetof(mmu::TlbEntry, host));
  e_.gs();
  e_.mov(reg64(to), ptr[reg64(index) + size_t{host}]);
}

/// A linear address known now selects its TLB entry now.
Builder::HostAddress Builder::look_up_constant(const DecodedInstruction& d, uint64_t linear,
                                               const Check& check, uint16_t avoid) {
  save_flags_if_live(d);
  const unsigned address = scratch(avoid);
  const uint32_t restart = e_.at();
  const mmu::View view = block_->mode.view();
  const size_t entry = size_t{mmu::VirtualTlb::slot(linear)} * sizeof(mmu::TlbEntry);
  const size_t tag = check.write_tag ? offsetof(mmu::TlbEntry, write_tag) : offsetof(mmu::TlbEntry, read_tag);
  e_.gs();
  e_.cmp(qword[Xbyak::RegExp(layout_.tlb(view, tag) + entry)],
         static_cast<uint32_t>(linear & ~x86::kPageMask));
  Stub& stub = add_miss(d, check, restart, e_.jump_if(kConditionNe));
  stub.address = Stub::Address::kConstant;
  stub.constant = linear;
  e_.load(address, static_cast<uint32_t>(layout_.tlb(view, offsetof(mmu::TlbEntry, host)) + entry));
  return {address, static_cast<int32_t>(linear & x86::kPageMask)};
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
  stub.slot_valid = slot_valid_;
  return stub;
}

/// The guest's instruction with its memory operand at the host address.
void Builder::emit_memory(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = *isa::memory_operand(d.instruction);
  const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  // Registers of the instruction are avoided, also those that it replaces: a fault must find their old
  // values. rax is what restoring flags needs. A high-byte register forbids the REX prefix that an upper
  // register needs.
  uint16_t avoid = d.use.gpr_read | d.use.gpr_written;
  if (flags_saved_ || d.flags_live_in != 0) avoid |= register_bit(x86::kRax);
  if (d.use.uses_high_byte) avoid |= 0xff00;
  const HostAddress at = host_address(d, operand, write, avoid);
  busy_ |= register_bit(at.base);
  isa::HostBytes host;
  if (!isa::rewrite_operand(d.instruction, analysis_->bytes(d), {at.base, at.index, at.displacement}, host)) {
    leave(add_site(SiteKind::kStep, &d));
    return;
  }
  emit_native(d, host.span());
}

void Builder::emit_lea(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = d.instruction.operands[1];
  const int to = isa::gpr_index(d.instruction.operands[0].reg.value);
  const unsigned width = d.instruction.zydis.operand_width;
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
  if (width == 32 && d.instruction.zydis.address_width == 64)
    e_.mov(reg32(static_cast<unsigned>(to)), reg32(static_cast<unsigned>(to)));
  replaced(register_bit(static_cast<unsigned>(to)));
}

}  // namespace eidolon::engine::translate
