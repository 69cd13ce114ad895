// Bytes to instructions, in each code size. A thin, fast front over Zydis that gives the
// architecture's answers: #UD for what is no instruction, #GP for what is longer than 15 bytes.
//
// The decoder knows more instructions than a host may have. That is harmless: such an instruction
// is executed as itself, and the host's own #UD becomes the guest's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "isa/instruction.h"
#include "x86/vendor.h"

namespace eidolon::isa {

enum class DecodeStatus : uint8_t {
  kOk,
  kInvalid,   ///< not an instruction: #UD
  kTooLong,   ///< over 15 bytes: #GP(0)
  kNeedMore,  ///< the bytes end before the instruction does
};

inline constexpr size_t kMaxInstructionLength = 15;

class Decoder {
 public:
  /// `vendor`: whose processor the code runs on, for the few encodings that mean different things
  /// (amd_forms.h).
  explicit Decoder(x86::Vendor vendor = x86::Vendor::kIntel);

  /// Decodes the instruction at the start of `bytes`, with its operands. `out` is valid only with kOk. At
  /// most the first 15 bytes are looked at. kNeedMore is returned only if fewer than 15 bytes were given.
  [[nodiscard]] DecodeStatus decode(CodeSize size, std::span<const uint8_t> bytes, Instruction& out) const;

  /// The same without the operands: mnemonic, class, length, prefixes, ModRM, displacement, immediates and
  /// flag masks. decode_operands() completes it, from the same bytes' context.
  [[nodiscard]] DecodeStatus decode_brief(CodeSize size, std::span<const uint8_t> bytes, Instruction& out,
                                          ZydisDecoderContext& context) const;
  void decode_operands(const ZydisDecoderContext& context, Instruction& inout) const;

 private:
  [[nodiscard]] DecodeStatus decode_for_amd(std::span<const uint8_t> bytes, Instruction& inout,
                                            ZydisDecoderContext& context) const;

  ZydisDecoder decoders_[3];
  x86::Vendor vendor_;
};

/// #UD in real and virtual-8086 mode although it decodes: VEX, EVEX and XOP encodings, arpl, lar, lsl, lldt,
/// ltr, sldt, str, verr, verw (SDM volume 2, "Real-Address Mode Exceptions"). 16-bit code is always decoded
/// as protected-mode code.
[[nodiscard]] bool requires_protected_mode(const Instruction& instruction);

}  // namespace eidolon::isa
