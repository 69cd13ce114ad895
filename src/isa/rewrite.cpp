// The rewrites of rewrite.h: prefixes, then REX, VEX, XOP or EVEX, then opcode, ModRM and what follows. Each
// part is copied, or written anew where the operand or the host's mode asks for it (SDM volume 2, 2.1
// to 2.7).
#include "isa/rewrite.h"

#include "isa/opcode_facts.h"

namespace eidolon::isa {

namespace {

enum class Target : uint8_t { kNone, kRipRelative, kBase };

constexpr uint8_t kRexB = 1, kRexX = 2, kRexR = 4;

struct Prefixes {
  bool lock = false;
  bool operand_size = false;
  uint8_t repeat = 0;  ///< the last F2 or F3, or 0
  uint8_t rex = 0;     ///< the one that counts: directly before the opcode
  uint8_t length = 0;  ///< where the opcode, VEX, EVEX or XOP byte is
};

Prefixes parse_prefixes(CodeSize size, std::span<const uint8_t> bytes) {
  Prefixes prefixes;
  for (const uint8_t byte : bytes) {
    if (size == CodeSize::k64 && (byte & 0xf0) == 0x40) {
      prefixes.rex = byte;
      ++prefixes.length;
      continue;
    }
    switch (byte) {
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.repeat = byte;
        break;
      case 0x66:
        prefixes.operand_size = true;
        break;
      case 0x67:
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x64:
      case 0x65:
        break;
      default:
        return prefixes;
    }
    prefixes.rex = 0;
    ++prefixes.length;
  }
  return prefixes;
}

/// F2 and F3 count only as part of the opcode. What the decoder calls ignored may mean something to a newer
/// processor, and a lock-elision hint would start a hardware transaction on the host.
bool repeat_is_mandatory(const ZydisDecodedInstruction& instruction, uint8_t repeat) {
  for (unsigned i = 0; i < instruction.raw.prefix_count; ++i) {
    const auto& prefix = instruction.raw.prefixes[i];
    if (prefix.value == repeat && prefix.type == ZYDIS_PREFIX_TYPE_MANDATORY) return true;
  }
  return false;
}

class Writer {
 public:
  explicit Writer(HostBytes& out) : out_(out) {
    out_.size = 0;
    out_.displacement_offset = 0;
  }

  void byte(unsigned value) {
    if (out_.size < out_.bytes.size()) out_.bytes[out_.size++] = static_cast<uint8_t>(value);
  }
  void copy(std::span<const uint8_t> bytes) {
    for (const uint8_t value : bytes) byte(value);
  }

  /// The ModRM byte with the operand in memory, the SIB byte and the displacement.
  void memory(unsigned reg, Target target, const HostOperand& operand, bool scaled) {
    const unsigned modrm = (reg & 7) << 3;
    if (target == Target::kRipRelative) {
      byte(modrm | 5);
      out_.displacement_offset = out_.size;
      for (int i = 0; i < 4; ++i) byte(0);
      return;
    }
    const unsigned low = operand.base & 7;
    const int32_t displacement = operand.displacement;
    const bool absent = displacement == 0 && low != 5;  // mod = 0 with rbp or r13 means something else
    // EVEX scales displacements of a byte by the operand's size (SDM volume 2, 2.7.5).
    const bool narrow = displacement == 0 || (!scaled && displacement == static_cast<int8_t>(displacement));
    // A SIB byte is also the only way to rsp and r12.
    const bool sib = low == 4 || operand.index != HostOperand::kNone;
    byte(modrm | (sib ? 4 : low) | (absent ? 0 : narrow ? 0x40 : 0x80));
    if (sib) byte(operand.scale_log2 << 6 | (operand.index & 7) << 3 | low);
    if (absent) return;
    const auto bits = static_cast<uint32_t>(displacement);
    for (unsigned i = 0; i < (narrow ? 1u : 4u); ++i) byte(bits >> 8 * i);
  }

 private:
  HostBytes& out_;
};

/// One rewrite: the guest's instruction and where its operand shall go.
struct Job {
  const Instruction& instruction;
  std::span<const uint8_t> guest;  ///< exactly the instruction's bytes
  Target target;
  HostOperand operand;

  [[nodiscard]] const ZydisDecodedInstruction& zydis() const { return instruction.zydis; }
  [[nodiscard]] bool is_64bit_code() const { return instruction.code_size == CodeSize::k64; }
  [[nodiscard]] bool base_is_extended() const { return target == Target::kBase && operand.base >= 8; }
  [[nodiscard]] bool index_is_extended() const { return target == Target::kBase && operand.index >= 8; }
};

/// ModRM and what follows it: the operand replaced, the immediate kept.
void write_from_modrm(const Job& job, Writer& writer) {
  const ZydisDecodedInstruction& zydis = job.zydis();
  size_t tail = size_t{zydis.raw.modrm.offset} + 1;
  if (job.target == Target::kNone) {
    writer.byte(job.guest[zydis.raw.modrm.offset]);
  } else {
    if (zydis.attributes & ZYDIS_ATTRIB_HAS_SIB) ++tail;
    tail += zydis.raw.disp.size / 8u;
    writer.memory(zydis.raw.modrm.reg, job.target, job.operand,
                  zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX);
  }
  const std::span<const uint8_t> immediate = job.guest.subspan(tail);
  if (!job.is_64bit_code() && immediate.size() == 1 && has_register_immediate(zydis)) {
    writer.byte(immediate[0] & 0x7fu);  // only eight vector registers outside 64-bit mode
  } else {
    writer.copy(immediate);
  }
}

/// The R, X and B bits (inverted) of the three-byte prefixes and of EVEX, in place: bits 7, 6 and 5.
uint8_t extend_register_bits(const Job& job, unsigned byte) {
  if (!job.is_64bit_code()) byte |= 0xe0;
  if (job.target != Target::kNone) byte |= 0x60;
  if (job.base_is_extended()) byte &= ~0x20u;
  if (job.index_is_extended()) byte &= ~0x40u;
  return static_cast<uint8_t>(byte);
}

/// The byte with W and vvvv (inverted): outside 64-bit mode the top bit of vvvv is ignored, and W where it is
/// an operand size.
uint8_t host_w_vvvv(const Job& job, unsigned byte) {
  if (job.is_64bit_code()) return static_cast<uint8_t>(byte);
  byte |= 0x40;
  if (w_is_operand_size(job.zydis())) byte &= 0x7f;
  return static_cast<uint8_t>(byte);
}

void write_vex(const Job& job, size_t at, Writer& writer) {
  const std::span<const uint8_t> guest = job.guest.subspan(at);
  if (guest[0] == 0xc5) {
    // The two-byte form has no X and no B: R becomes R.X.B, opcode map 0F, W = 0.
    if (job.base_is_extended() || job.index_is_extended()) {
      writer.byte(0xc4);
      writer.byte(extend_register_bits(job, (guest[1] & 0x80u) | 0x61));
      writer.byte(guest[1] & 0x7fu);
    } else {
      writer.copy(guest.first(2));
    }
    writer.byte(guest[2]);
  } else {
    writer.byte(guest[0]);  // C4, or 8F of XOP, whose layout is the same
    writer.byte(extend_register_bits(job, guest[1]));
    writer.byte(host_w_vvvv(job, guest[2]));
    writer.byte(guest[3]);
  }
}

void write_evex(const Job& job, size_t at, Writer& writer) {
  const std::span<const uint8_t> guest = job.guest.subspan(at);
  const bool narrow = !job.is_64bit_code();  // R' and V' select registers 16..31: only in 64-bit mode
  writer.byte(guest[0]);
  writer.byte(extend_register_bits(job, guest[1]) | (narrow ? 0x10u : 0u));
  writer.byte(host_w_vvvv(job, guest[2]));
  writer.byte(guest[3] | (narrow ? 0x08u : 0u));
  writer.byte(guest[4]);
}

/// 40..4F, inc and dec of a register outside 64-bit mode, where these are REX prefixes.
bool is_short_inc_dec(const Job& job) {
  return job.zydis().opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (job.zydis().opcode & 0xf0) == 0x40;
}

/// A0..A3: mov between the accumulator and an address in the instruction.
bool is_moffs(const Job& job) {
  return job.zydis().opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && job.zydis().opcode >= 0xa0 &&
         job.zydis().opcode <= 0xa3;
}

void write_legacy_opcode(const Job& job, size_t at, Writer& writer) {
  const ZydisDecodedInstruction& zydis = job.zydis();
  if (is_short_inc_dec(job)) {
    writer.byte(0xff);
    writer.byte(0xc0u | (zydis.opcode & 0x0fu));  // /0 inc, /1 dec
  } else if (is_moffs(job)) {
    constexpr uint8_t kMov[] = {0x8a, 0x8b, 0x88, 0x89};
    writer.byte(kMov[zydis.opcode & 3]);
    writer.memory(0, job.target, job.operand, false);
  } else if (!(zydis.attributes & ZYDIS_ATTRIB_HAS_MODRM)) {
    writer.copy(job.guest.subspan(at));
  } else {
    const size_t opcode_length = zydis.raw.modrm.offset - at;
    const bool alias =
        zydis.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && zydis.opcode == 0x82;  // of 80, gone in 64-bit mode
    if (alias) {
      writer.byte(0x80);
    } else {
      writer.copy(job.guest.subspan(at, opcode_length));
    }
    write_from_modrm(job, writer);
  }
}

bool write_legacy(const Job& job, const Prefixes& prefixes, Writer& writer) {
  const ZydisDecodedInstruction& zydis = job.zydis();
  const bool inverted = job.instruction.code_size == CodeSize::k16 && has_operand_size(zydis);
  if (prefixes.operand_size != inverted) writer.byte(0x66);
  if (prefixes.repeat != 0 && repeat_is_mandatory(zydis, prefixes.repeat)) writer.byte(prefixes.repeat);
  if (prefixes.lock) writer.byte(0xf0);

  uint8_t rex = prefixes.rex;
  if (job.target != Target::kNone) {
    if (rex != 0) rex &= static_cast<uint8_t>(~(kRexX | kRexB | (is_moffs(job) ? kRexR : 0)));
    if (job.base_is_extended() || job.index_is_extended()) {
      if (rex == 0 && names_high_byte_in_reg(zydis)) return false;
      rex |= 0x40 | (job.base_is_extended() ? kRexB : 0) | (job.index_is_extended() ? kRexX : 0);
    }
  }
  if (rex != 0) writer.byte(rex);
  write_legacy_opcode(job, prefixes.length, writer);
  return true;
}

bool write_instruction(const Job& job, HostBytes& out) {
  Writer writer(out);
  const Prefixes prefixes = parse_prefixes(job.instruction.code_size, job.guest);
  switch (job.zydis().encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
    case ZYDIS_INSTRUCTION_ENCODING_3DNOW:
      return write_legacy(job, prefixes, writer);
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
    case ZYDIS_INSTRUCTION_ENCODING_XOP:
      write_vex(job, prefixes.length, writer);
      break;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
      write_evex(job, prefixes.length, writer);
      break;
    default:
      return false;
  }
  if (job.zydis().attributes & ZYDIS_ATTRIB_HAS_MODRM) write_from_modrm(job, writer);  // vzeroupper has none
  return true;
}

bool runs_as_itself(const Instruction& instruction, std::span<const uint8_t> guest_bytes) {
  return (instruction.klass == Class::kInnocuous || instruction.klass == Class::kState) &&
         guest_bytes.size() >= instruction.length() && !is_gone_in_64bit_mode(instruction.mnemonic());
}

bool operand_can_move(const Instruction& instruction, std::span<const uint8_t> guest_bytes) {
  return runs_as_itself(instruction, guest_bytes) && has_explicit_memory(instruction) &&
         instruction.mnemonic() != ZYDIS_MNEMONIC_LEA && instruction.mnemonic() != ZYDIS_MNEMONIC_NOP;
}

}  // namespace

bool rewrite_rip_relative(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                          HostBytes& out) {
  if (!operand_can_move(instruction, guest_bytes)) return false;
  return write_instruction({instruction, guest_bytes.first(instruction.length()), Target::kRipRelative, {}},
                           out);
}

bool rewrite_base(const Instruction& instruction, std::span<const uint8_t> guest_bytes, unsigned base,
                  HostBytes& out) {
  return rewrite_operand(instruction, guest_bytes, {.base = base}, out);
}

bool rewrite_operand(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                     const HostOperand& operand, HostBytes& out) {
  if (operand.base > 15 || operand.index > 15 || !operand_can_move(instruction, guest_bytes)) return false;
  return write_instruction({instruction, guest_bytes.first(instruction.length()), Target::kBase, operand},
                           out);
}

bool rewrite_plain(const Instruction& instruction, std::span<const uint8_t> guest_bytes, HostBytes& out) {
  if (!runs_as_itself(instruction, guest_bytes)) return false;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_NOP) {
    Writer(out).byte(0x90);
    return true;
  }
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_PAUSE) {
    // Without its prefixes: with REX.B it exchanges registers on hosts of AMD's.
    Writer writer(out);
    writer.byte(0xf3);
    writer.byte(0x90);
    return true;
  }
  if (has_explicit_memory(instruction)) return false;
  return write_instruction({instruction, guest_bytes.first(instruction.length()), Target::kNone, {}}, out);
}

bool rewrite_bit_string(const Instruction& instruction, std::span<const uint8_t> guest_bytes, unsigned base,
                        HostBytes& out) {
  if (base > 15 || !is_bit_string(instruction) || guest_bytes.size() < instruction.length()) return false;
  return write_instruction(
      {instruction, guest_bytes.first(instruction.length()), Target::kBase, {.base = base}}, out);
}

}  // namespace eidolon::isa
