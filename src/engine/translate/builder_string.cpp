// String instructions (SDM volume 2: MOVS, CMPS, STOS, LODS, SCAS, REP). One element is like any other memory
// access. A repeated MOVS or STOS within one page of each operand is the host's own, on host addresses. For
// all else a kString site calls the monitor, which does the whole instruction (exits_string.cpp).
//
// The guest's DF is in State::rflags; it is looked at each time, for the host's is always clear.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;
using Operation = StringForm::Operation;

namespace {

/// Those that have to be in place, if only for the monitor.
uint16_t registers_of(const StringForm& form) {
  uint16_t registers = 0;
  if (form.uses_source()) registers |= register_bit(x86::kRsi);
  if (form.uses_target()) registers |= register_bit(x86::kRdi);
  if (form.repeats()) registers |= register_bit(x86::kRcx);
  const bool replaces = form.operation == Operation::kLoad && form.size >= 4 && !form.repeats();
  if (form.uses_accumulator() && !replaces) registers |= register_bit(x86::kRax);
  return registers;
}
}  // namespace

void Builder::emit_string(const DecodedInstruction& d) {
  const StringForm form = string_form(*d.instruction);
  save_flags_if_live(d);
  need(registers_of(form));
  const bool flat = form.segment == x86::kDs && form.narrow != block_->mode.long_code();
  uint32_t site = 0;
  if (flat && !form.repeats()) {
    site = emit_element(d, form);
  } else if (flat && form.writes_target()) {
    site = emit_elements(d, form);
  } else {
    if (form.operation == Operation::kLoad) make_room(register_bit(x86::kRax));
    site = string_site(d, form);
    leave(site);
  }
  sites_[site].resume = e_.at();
  changed(registers_of(form));
  if (form.operation == Operation::kLoad) replaced(register_bit(x86::kRax));
  flags_changed(d);
}

uint32_t Builder::string_site(const DecodedInstruction& d, const StringForm& form) {
  const uint32_t site = add_site(SiteKind::kString, &d);
  sites_[site].form = form;
  return site;
}

void Builder::leave_if(unsigned condition, uint32_t site) {
  stubs_.push_back({.patch = e_.jump_if(condition), .site = site});
}

uint32_t Builder::emit_element(const DecodedInstruction& d, const StringForm& form) {
  const uint16_t avoid = registers_of(form) | register_bit(x86::kRax);
  make_room(avoid);
  const unsigned source = form.uses_source() ? scratch(avoid) : 0;
  const unsigned target = form.uses_target() ? scratch(avoid) : 0;
  const unsigned index = scratch(avoid);
  const uint32_t site = string_site(d, form);
  e_.gs();
  e_.test(byte[Xbyak::RegExp(layout_.rflags() + 1)], static_cast<uint32_t>(x86::kFlagDf >> 8));
  leave_if(kConditionNe, site);
  const auto find = [&](unsigned address, unsigned pointer, bool write) {
    find_elements(address, index, pointer, write);
    e_.cmp(reg64(address), static_cast<uint32_t>(x86::kPageSize - form.size));
    leave_if(kConditionA, site);
    add_host(address, index, write);
  };
  if (form.uses_source()) find(source, x86::kRsi, false);
  if (form.uses_target()) find(target, x86::kRdi, form.writes_target());

  const Xbyak::Reg value = sized(form.uses_accumulator() ? unsigned{x86::kRax} : index, form.size * 8);
  if (form.uses_source()) e_.mov(value, ptr[reg64(source)]);
  if (form.writes_target()) e_.mov(ptr[reg64(target)], value);
  if (form.compares()) e_.cmp(value, ptr[reg64(target)]);
  if (form.uses_source()) advance_pointer(x86::kRsi, x86::kRsi, Xbyak::RegExp(form.size));
  if (form.uses_target()) advance_pointer(x86::kRdi, x86::kRdi, Xbyak::RegExp(form.size));
  return site;
}

/// Repeated MOVS or STOS.
uint32_t Builder::emit_elements(const DecodedInstruction& d, const StringForm& form) {
  const bool moves = form.uses_source();
  const uint16_t avoid = registers_of(form);
  const unsigned source = moves ? scratch(avoid) : 0;
  const unsigned target = scratch(avoid);
  const unsigned index = scratch(avoid);
  const unsigned limit = scratch(avoid);
  const uint32_t site = string_site(d, form);
  e_.gs();
  e_.test(byte[Xbyak::RegExp(layout_.rflags() + 1)], static_cast<uint32_t>(x86::kFlagDf >> 8));
  leave_if(kConditionNe, site);
  if (form.narrow) e_.mov(ecx, ecx);
  // The last offset in a page from which on all elements lie in it. A count of zero is content with offset
  // 4096, which is a miss, but then nothing is accessed.
  e_.cmp(rcx, static_cast<uint32_t>(x86::kPageSize / form.size));
  leave_if(kConditionA, site);
  e_.imul(reg64(limit), rcx, -int{form.size});
  e_.add(reg64(limit), static_cast<uint32_t>(x86::kPageSize));
  const auto find = [&](unsigned address, unsigned pointer, bool write) {
    find_elements(address, index, pointer, write);
    e_.cmp(reg64(address), reg64(limit));
    leave_if(kConditionA, site);
    add_host(address, index, write);
  };
  if (moves) find(source, x86::kRsi, false);
  find(target, x86::kRdi, true);

  const Xbyak::RegExp distance = rcx * form.size;
  advance_pointer(index, x86::kRdi, distance);
  if (moves) advance_pointer(limit, x86::kRsi, distance);
  e_.mov(rdi, reg64(target));
  if (moves) e_.mov(rsi, reg64(source));
  e_.db(0xf3);
  if (form.size == 2) e_.db(0x66);
  if (form.size == 8) e_.db(0x48);
  e_.db((moves ? 0xa4 : 0xaa) | (form.size > 1 ? 1 : 0));
  e_.mov(rdi, reg64(index));
  if (moves) e_.mov(rsi, reg64(limit));
  return site;
}

/// `address` becomes the offset in its page of what `pointer` points to, as probe() does.
void Builder::find_elements(unsigned address, unsigned index, unsigned pointer, bool write) {
  if (block_->mode.long_code())
    e_.mov(reg64(address), reg64(pointer));
  else
    e_.mov(reg32(address), reg32(pointer));
  probe(address, index, write);
}

/// Leaves the flags alone.
void Builder::advance_pointer(unsigned to, unsigned pointer, const Xbyak::RegExp& distance) {
  if (block_->mode.long_code())
    e_.lea(reg64(to), ptr[reg64(pointer) + distance]);
  else
    e_.lea(reg32(to), ptr[reg64(pointer) + distance]);
}

}  // namespace eidolon::engine::translate
