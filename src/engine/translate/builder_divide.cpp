// DIV and IDIV: a division that is certain to raise #DE leaves before the host's processor raises it, as a
// signal of the host costs more than ten thousand cycles. Asked is whether the quotient of DIV has room
// (which it has not if the divisor is 0), and whether the divisor of IDIV is 0. What else raises #DE (an IDIV
// without room, a byte in AH or its kin) takes the long way (exits_slow.cpp).
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

bool Builder::is_division(const DecodedInstruction& d) {
  return d.instruction->mnemonic() == ZYDIS_MNEMONIC_DIV || d.instruction->mnemonic() == ZYDIS_MNEMONIC_IDIV;
}

/// `memory`: where the divisor is, if it is not in a register.
void Builder::leave_if_division_fails(const DecodedInstruction& d, const HostAddress* memory) {
  if (d.use.uses_high_byte) return;
  const ZydisDecodedOperand& divisor = d.instruction->operands[0];
  const unsigned width = divisor.size;
  save_flags_if_live(d);
  make_room(d.use.gpr_written | d.use.gpr_read);
  need(d.use.gpr_read);
  const uint32_t site = add_site(SiteKind::kStep, &d);
  sites_[site].divide_error = true;
  const bool has_room = d.instruction->mnemonic() == ZYDIS_MNEMONIC_DIV && width != 8;
  const Xbyak::Reg high = sized(x86::kRdx, width);
  if (memory != nullptr) {
    const Xbyak::AddressFrame frame(width);
    has_room ? e_.cmp(high, frame[at(*memory)]) : e_.cmp(frame[at(*memory)], 0);
  } else {
    const Xbyak::Reg low = sized(static_cast<unsigned>(isa::gpr_index(divisor.reg.value)), width);
    has_room ? e_.cmp(high, low) : e_.test(low, low);
  }
  leave_if(has_room ? kConditionAe : kConditionE, site);
}

}  // namespace eidolon::engine::translate
