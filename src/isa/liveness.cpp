// Register and flag use, from the decoder library's operands and flag masks (SDM volume 1, appendix A, for
// flags), corrected where these leave something out or are sharper than the processors are.
#include "isa/liveness.h"

#include "x86/rflags.h"

#include <array>

#include "isa/catalogue.h"

namespace eidolon::isa {

namespace {

enum class Part : uint8_t { kNone, kLow8, kHigh8, kLow16, kLow32, kFull };

struct GprPart {
  int8_t index = -1;
  Part part = Part::kNone;
};

consteval std::array<GprPart, ZYDIS_REGISTER_MAX_VALUE + 1> build_parts() {
  std::array<GprPart, ZYDIS_REGISTER_MAX_VALUE + 1> parts{};
  const auto fill = [&parts](int first, int count, int index, Part part) {
    for (int i = 0; i < count; ++i)
      parts[static_cast<size_t>(first + i)] = {static_cast<int8_t>(index + i), part};
  };
  fill(ZYDIS_REGISTER_AL, 4, 0, Part::kLow8);
  fill(ZYDIS_REGISTER_AH, 4, 0, Part::kHigh8);
  fill(ZYDIS_REGISTER_SPL, 12, 4, Part::kLow8);  // spl bpl sil dil r8b .. r15b
  fill(ZYDIS_REGISTER_AX, 16, 0, Part::kLow16);
  fill(ZYDIS_REGISTER_EAX, 16, 0, Part::kLow32);
  fill(ZYDIS_REGISTER_RAX, 16, 0, Part::kFull);
  return parts;
}

constexpr auto kParts = build_parts();
static_assert(kParts[ZYDIS_REGISTER_BH].index == 3 && kParts[ZYDIS_REGISTER_R15B].index == 15);
static_assert(kParts[ZYDIS_REGISTER_R15W].index == 15 && kParts[ZYDIS_REGISTER_R15D].index == 15);
static_assert(kParts[ZYDIS_REGISTER_R15].index == 15 && kParts[ZYDIS_REGISTER_RIP].index == -1);

uint16_t mask_of(ZydisRegister reg) {
  const int index = kParts[reg].index;
  return index < 0 ? uint16_t{0} : static_cast<uint16_t>(1u << index);
}

/// On a host without BMI1 or LZCNT these run as bsf and bsr, which leave their destination alone if the
/// source is zero.
bool may_leave_destination(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_TZCNT || mnemonic == ZYDIS_MNEMONIC_LZCNT ||
         mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
}

void add_register(const Instruction& instruction, const ZydisDecodedOperand& operand, RegisterUse& use) {
  const GprPart gpr = kParts[operand.reg.value];
  if (gpr.index < 0) return;
  const uint16_t mask = mask_of(operand.reg.value);
  const ZydisOperandActions actions = operand.actions;
  if (actions & ZYDIS_OPERAND_ACTION_MASK_READ) use.gpr_read |= mask;
  if (actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) use.gpr_written |= mask;
  const bool whole = gpr.part == Part::kLow32 || gpr.part == Part::kFull;
  if (whole && (actions & ZYDIS_OPERAND_ACTION_WRITE) && !may_leave_destination(instruction.mnemonic())) {
    use.gpr_killed |= mask;
  }
  if (gpr.part == Part::kHigh8 && operand.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
    use.uses_high_byte = true;
}

/// What the decoder's operands leave out: the registers of pusha and popa, and the index of xlat.
void add_unlisted_registers(ZydisMnemonic mnemonic, RegisterUse& use) {
  constexpr uint16_t kLegacyRegisters = 0x00ff;
  constexpr uint16_t kRax = 1, kRsp = 1u << 4;
  if (mnemonic == ZYDIS_MNEMONIC_XLAT) use.gpr_read |= kRax;
  if (mnemonic == ZYDIS_MNEMONIC_PUSHA || mnemonic == ZYDIS_MNEMONIC_PUSHAD) use.gpr_read |= kLegacyRegisters;
  if (mnemonic == ZYDIS_MNEMONIC_POPA || mnemonic == ZYDIS_MNEMONIC_POPAD) {
    use.gpr_written |= kLegacyRegisters;
    use.gpr_read |= kRsp;
  }
}

/// xor r, r and sub r, r of whole registers: the result does not depend on the register.
bool is_zeroing(const Instruction& instruction) {
  const ZydisMnemonic mnemonic = instruction.mnemonic();
  if (mnemonic != ZYDIS_MNEMONIC_XOR && mnemonic != ZYDIS_MNEMONIC_SUB) return false;
  const ZydisDecodedOperand& a = instruction.operands[0];
  const ZydisDecodedOperand& b = instruction.operands[1];
  return a.type == ZYDIS_OPERAND_TYPE_REGISTER && b.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         a.reg.value == b.reg.value && kParts[a.reg.value].part >= Part::kLow32;
}

enum class FlagEffect : uint8_t {
  kDefined,        ///< exactly the flags that the manual defines are surely overwritten
  kAll,            ///< the undefined ones too: processors compute something, from the operands alone
  kDependsOnCount  ///< none surely: a count of zero leaves the flags alone
};

FlagEffect shift_effect(const Instruction& instruction) {
  const ZydisDecodedOperand& count = instruction.operands[instruction.zydis.operand_count_visible - 1];
  if (count.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return FlagEffect::kDependsOnCount;
  const uint64_t mask = instruction.operands[0].size == 64 ? 63 : 31;
  return (count.imm.value.u & mask) == 0 ? FlagEffect::kDependsOnCount : FlagEffect::kAll;
}

FlagEffect flag_effect(const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST:
      return FlagEffect::kAll;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
      return shift_effect(instruction);
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
      // A rotate of 8 or 16 bits may come full circle: what it then does to the flags differs by form.
      const FlagEffect effect = shift_effect(instruction);
      return effect == FlagEffect::kAll && instruction.operands[0].size >= 32 ? FlagEffect::kDefined
                                                                              : FlagEffect::kDependsOnCount;
    }
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_CMPSQ:
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
      return FlagEffect::kDependsOnCount;  // a repeat count of zero compares nothing
    default:
      return FlagEffect::kDefined;
  }
}

/// (V)PTEST and VTESTPx set CF and ZF and clear the rest (SDM volume 2); the decoder's table forgets the
/// rest.
bool writes_all_flags(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_PTEST:
    case ZYDIS_MNEMONIC_VPTEST:
    case ZYDIS_MNEMONIC_VTESTPS:
    case ZYDIS_MNEMONIC_VTESTPD:
      return true;
    default:
      return false;
  }
}

void add_flags(const Instruction& instruction, RegisterUse& use) {
  const ZydisAccessedFlags* flags = instruction.zydis.cpu_flags;
  if (flags == nullptr) return;
  const uint32_t defined = flags->modified | flags->set_0 | flags->set_1;
  use.flags_read = flags->tested & kLiveFlags;
  use.flags_written = (defined | flags->undefined) & kLiveFlags;
  if (writes_all_flags(instruction.mnemonic())) {
    use.flags_written = use.flags_killed = x86::kFlagsArithmetic;
    return;
  }
  switch (flag_effect(instruction)) {
    case FlagEffect::kDefined:
      use.flags_killed = defined & ~flags->undefined;
      break;
    case FlagEffect::kAll:
      use.flags_killed = use.flags_written;
      break;
    case FlagEffect::kDependsOnCount:
      use.flags_killed = 0;
      break;
  }
  use.flags_killed &= kLiveFlags & ~use.flags_read;
}

}  // namespace

int gpr_index(ZydisRegister reg) { return kParts[reg].index; }

RegisterUse register_use(const Instruction& instruction) {
  RegisterUse use;
  for (unsigned i = 0; i < instruction.zydis.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      add_register(instruction, operand, use);
    } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      use.gpr_read |= mask_of(operand.mem.base) | mask_of(operand.mem.index);
    }
  }
  add_unlisted_registers(instruction.mnemonic(), use);
  if (is_zeroing(instruction)) use.gpr_read = 0;
  use.gpr_killed &= static_cast<uint16_t>(~use.gpr_read);
  add_flags(instruction, use);
  use.touches_simd_or_x87 =
      instruction.klass == Class::kState || required_state(instruction.zydis) != ExtendedState::kNone;
  return use;
}

}  // namespace eidolon::isa
