// BT, BTS, BTR and BTC of memory with the bit offset in a register (SDM volume 2, BT): the element accessed
// is (offset >> log2(width)) elements from the operand's address, the offset being signed.
//
// Without LOCK the element goes through a register, where the offset counts modulo the width: much cheaper on
// the host than the form with memory, and no less atomic.
#include "engine/translate/builder.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

void Builder::emit_bit_string(const DecodedInstruction& d) {
  const ZydisDecodedOperand& operand = d.instruction->operands[0];
  const auto offset = static_cast<unsigned>(isa::gpr_index(d.instruction->operands[1].reg.value));
  const unsigned width = d.instruction->zydis.operand_width;
  const int bytes = static_cast<int>(width / 8);
  const bool locked = (d.instruction->zydis.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
  const bool write = d.instruction->mnemonic() != ZYDIS_MNEMONIC_BT;

  save_flags_if_live(d);
  const uint16_t sources = address_registers(operand) | register_bit(offset);
  need(sources);
  const uint16_t avoid = sources | register_bit(x86::kRax);  // rax is what restoring flags needs
  const unsigned address = scratch(avoid);
  const unsigned element = scratch(avoid);
  const auto load_element_number = [&] {
    if (width == 16)
      e_.movsx(reg64(element), reg16(offset));
    else if (width == 32)
      e_.movsxd(reg64(element), reg32(offset));
    else
      e_.mov(reg64(element), reg64(offset));
    e_.sar(reg64(element), width == 16 ? 4 : width == 32 ? 5 : 6);
  };
  const uint32_t restart = e_.at();
  emit_effective_address(address, d, operand);
  load_element_number();
  e_.lea(reg64(address), ptr[reg64(address) + reg64(element) * bytes]);
  if (d.instruction->zydis.address_width == 32) e_.mov(reg32(address), reg32(address));
  add_segment_base(address, operand);
  look_up(d, address, element, {static_cast<unsigned>(bytes), write, write, false}, restart);
  add_host(address, element, write);

  if (locked) {
    // The processor adds the elements once more.
    load_element_number();
    e_.neg(reg64(element));
    e_.lea(reg64(address), ptr[reg64(address) + reg64(element) * bytes]);
    isa::HostBytes host;
    if (!isa::rewrite_bit_string(*d.instruction, analysis_->bytes(d), address, host)) {
      leave(add_site(SiteKind::kStep, &d));
      return;
    }
    emit_native(d, host.span());
    return;
  }
  const Xbyak::Reg value = sized(element, width);
  const Xbyak::Reg bit = sized(offset, width);
  e_.mov(value, ptr[reg64(address)]);
  prepare_flags(d);
  need(register_bit(offset));
  switch (d.instruction->mnemonic()) {
    case ZYDIS_MNEMONIC_BTS:
      e_.bts(value, bit);
      break;
    case ZYDIS_MNEMONIC_BTR:
      e_.btr(value, bit);
      break;
    case ZYDIS_MNEMONIC_BTC:
      e_.btc(value, bit);
      break;
    default:
      e_.bt(value, bit);
      break;
  }
  if (write) e_.mov(ptr[reg64(address)], value);
  flags_changed(d);
}

}  // namespace eidolon::engine::translate
