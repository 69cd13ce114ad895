#include "same_instruction.h"

#include <fmt/format.h>

namespace eidolon::isa {

namespace {

std::string compare_memory(const ZydisDecodedOperand& guest, const ZydisDecodedOperand& host, int base,
                           const HostOperand& rest) {
  if (guest.size != host.size) return fmt::format("memory size {} -> {}", guest.size, host.size);
  if (host.mem.type != ZYDIS_MEMOP_TYPE_MEM && host.mem.type != guest.mem.type) return "memory type";
  if (host.mem.segment != ZYDIS_REGISTER_DS && host.mem.segment != ZYDIS_REGISTER_SS) return "segment";
  const bool indexed = rest.index != HostOperand::kNone;
  if (host.mem.index != (indexed ? ZYDIS_REGISTER_RAX + static_cast<int>(rest.index) : ZYDIS_REGISTER_NONE))
    return "index";
  if (indexed && host.mem.scale != 1u << rest.scale_log2) return "scale";
  if (host.mem.disp.value != rest.displacement) return "displacement";
  const bool same_base =
      base == kRip ? host.mem.base == ZYDIS_REGISTER_RIP : host.mem.base == ZYDIS_REGISTER_RAX + base;
  return same_base ? "" : "base";
}

std::string compare_operand(const ZydisDecodedOperand& guest, const ZydisDecodedOperand& host, int base,
                            const HostOperand& rest) {
  if (guest.type != host.type) return fmt::format("type {} -> {}", int{guest.type}, int{host.type});
  if (guest.actions != host.actions) return "actions";
  const bool visible = guest.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
  if (visible && guest.element_count != host.element_count) return "element count";
  if (visible && guest.element_size != host.element_size) return "element size";
  switch (guest.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return guest.reg.value == host.reg.value
                 ? ""
                 : fmt::format("register {} -> {}", ZydisRegisterGetString(guest.reg.value),
                               ZydisRegisterGetString(host.reg.value));
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return compare_memory(guest, host, base, rest);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return guest.imm.value.u == host.imm.value.u && guest.size == host.size ? "" : "immediate";
    default:
      return "unexpected operand";
  }
}

/// flags, eflags and rflags are one register to the code sizes.
bool is_flags(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value >= ZYDIS_REGISTER_FLAGS &&
         operand.reg.value <= ZYDIS_REGISTER_RFLAGS;
}

/// The decoder reports vpcmpestri's lengths in rax and rdx for VEX.W = 1 in 32-bit code too, which has
/// neither.
bool is_hidden_length(const Instruction& instruction, const ZydisDecodedOperand& operand) {
  return (instruction.mnemonic() == ZYDIS_MNEMONIC_VPCMPESTRI ||
          instruction.mnemonic() == ZYDIS_MNEMONIC_VPCMPESTRM) &&
         instruction.code_size != CodeSize::k64 && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
}

std::string compare_vector(const ZydisDecodedInstructionAvx& guest, const ZydisDecodedInstructionAvx& host) {
  if (guest.vector_length != host.vector_length) return "vector length";
  if (guest.mask.mode != host.mask.mode || guest.mask.reg != host.mask.reg) return "mask";
  if (guest.broadcast.mode != host.broadcast.mode) return "broadcast";
  if (guest.rounding.mode != host.rounding.mode || guest.has_sae != host.has_sae) return "rounding";
  return "";
}

}  // namespace

std::string difference(const Instruction& guest, const Instruction& host, int base, const HostOperand& rest) {
  if (guest.mnemonic() != host.mnemonic()) {
    return fmt::format("mnemonic {} -> {}", ZydisMnemonicGetString(guest.mnemonic()),
                       ZydisMnemonicGetString(host.mnemonic()));
  }
  constexpr ZydisInstructionAttributes kKept = ZYDIS_ATTRIB_HAS_LOCK;
  if ((guest.zydis.attributes & kKept) != (host.zydis.attributes & kKept)) return "lock prefix";
  if (guest.zydis.operand_count_visible != host.zydis.operand_count_visible) return "operand count";
  if (const std::string text = compare_vector(guest.zydis.avx, host.zydis.avx); !text.empty()) return text;
  if (guest.zydis.operand_count != host.zydis.operand_count) return "hidden operand count";
  for (unsigned i = 0; i < guest.zydis.operand_count; ++i) {
    if (is_flags(guest.operands[i]) && is_flags(host.operands[i])) continue;
    if (is_hidden_length(guest, guest.operands[i])) continue;
    const std::string text = compare_operand(guest.operands[i], host.operands[i], base, rest);
    if (!text.empty()) return fmt::format("operand {}: {}", i, text);
  }
  return "";
}

}  // namespace eidolon::isa
