// Guest instruction to host instruction, by patching bytes. A guest's innocuous instruction, from 16-,
// 32- or 64-bit code, becomes one 64-bit host instruction that does the same to the same registers,
// with its explicit memory operand, and nothing else, replaced. Encodings: SDM volume 2, chapter 2.
//
// Why not the decoder library's encoder: measured on the memory instructions of a C library, 34 ns to patch
// and 330 ns to encode, which also needs all operands decoded (70 ns), drops redundant forms and picks
// encodings of its own.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "isa/instruction.h"

namespace eidolon::isa {

struct HostBytes {
  std::array<uint8_t, 20> bytes;
  uint8_t size;
  /// Where the 32-bit displacement lies in `bytes`, if the operand is rip-relative; else 0.
  uint8_t displacement_offset;

  [[nodiscard]] std::span<const uint8_t> span() const { return {bytes.data(), size}; }
};

// All of these want an instruction from Decoder::decode (operands are not needed: decode_brief will do)
// and the bytes it was decoded from. They return false, with `out` unspecified, for what has no equal
// in 64-bit code (daa, das, aaa, aas, aam, aad, salc, bound, arpl …), for every class but kInnocuous and
// kState, and for lea and vector-indexed operands, which the caller computes otherwise. Segment and
// address-size prefixes never reach the output, nor do the lock-elision hints. nop in all its encodings
// becomes 90.

/// The memory operand becomes [rip + disp32]; no register is needed. The displacement is 0: the caller stores
/// (target - end of the emitted instruction) at displacement_offset.
[[nodiscard]] bool rewrite_rip_relative(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                                        HostBytes& out);

/// The memory operand becomes [base], base = 0..15 for rax..r15. False also if an ah, ch, dh or bh operand
/// meets a base that needs a REX prefix (8..15): choose another base.
[[nodiscard]] bool rewrite_base(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                                unsigned base, HostBytes& out);

/// [base + (index << scale_log2) + displacement]: rsp as the index is none.
struct HostOperand {
  unsigned base = 0;
  unsigned index = kNone;
  int32_t displacement = 0;
  unsigned scale_log2 = 0;  ///< 0 to 3
  static constexpr unsigned kNone = 4;
};

/// The same with any such operand; a base and an index of 8..15 need a REX prefix alike.
[[nodiscard]] bool rewrite_operand(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                                   const HostOperand& operand, HostBytes& out);

/// An instruction without a memory operand. A nop's or prefetch's operand is no access, but theirs is still
/// an operand: of those, only nop is accepted here.
[[nodiscard]] bool rewrite_plain(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                                 HostBytes& out);

/// rewrite_base for is_bit_string() instructions. The processor adds the bit offset to `base` itself, so the
/// caller puts (host address of the element accessed) - (byte offset that the register adds) into `base`.
[[nodiscard]] bool rewrite_bit_string(const Instruction& instruction, std::span<const uint8_t> guest_bytes,
                                      unsigned base, HostBytes& out);

}  // namespace eidolon::isa
