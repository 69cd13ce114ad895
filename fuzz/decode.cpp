// Any bytes through the decoder, what is asked of a decoded instruction, and the rewriting to host code.
//
// What must hold, besides not crashing: lengths stay in their bounds, and a rewritten instruction decodes
// again, to the same mnemonic and no more bytes than were emitted.
#include <array>
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "isa/decoder.h"
#include "isa/liveness.h"
#include "isa/rewrite.h"

namespace {

using namespace eidolon::isa;

void check_rewritten(const Decoder& decoder, const Instruction& guest, const HostBytes& host) {
  EIDOLON_ASSERT(host.size > 0 && host.size <= kMaxInstructionLength);
  EIDOLON_ASSERT(host.displacement_offset == 0 || host.displacement_offset + 4u <= host.size);
  Instruction again;
  EIDOLON_ASSERT(decoder.decode(CodeSize::k64, host.span(), again) == DecodeStatus::kOk);
  EIDOLON_ASSERT(again.length() == host.size);
  EIDOLON_ASSERT(again.mnemonic() == guest.mnemonic());
}

void rewrite(const Decoder& decoder, const Instruction& instruction, std::span<const uint8_t> bytes) {
  HostBytes host;
  if (rewrite_rip_relative(instruction, bytes, host)) check_rewritten(decoder, instruction, host);
  if (rewrite_plain(instruction, bytes, host)) check_rewritten(decoder, instruction, host);
  for (unsigned base = 0; base < 16; ++base) {
    if (rewrite_base(instruction, bytes, base, host)) check_rewritten(decoder, instruction, host);
    if (is_bit_string(instruction) && rewrite_bit_string(instruction, bytes, base, host))
      check_rewritten(decoder, instruction, host);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Decoder decoder;
  for (const CodeSize code_size : {CodeSize::k16, CodeSize::k32, CodeSize::k64}) {
    for (size_t at = 0; at < size;) {
      const std::span<const uint8_t> bytes(data + at, size - at);
      Instruction instruction;
      const DecodeStatus status = decoder.decode(code_size, bytes, instruction);
      EIDOLON_ASSERT(status != DecodeStatus::kNeedMore || bytes.size() < kMaxInstructionLength);
      if (status != DecodeStatus::kOk) {
        ++at;
        continue;
      }
      EIDOLON_ASSERT(instruction.length() > 0 && instruction.length() <= bytes.size());
      const RegisterUse use = register_use(instruction);
      EIDOLON_ASSERT((use.gpr_killed & ~use.gpr_written) == 0);
      EIDOLON_ASSERT(!memory_operand_is_accessed(instruction) || memory_operand(instruction) != nullptr);
      (void)memory_bytes(instruction);
      (void)requires_protected_mode(instruction);
      rewrite(decoder, instruction, bytes.first(instruction.length()));
      at += instruction.length();
    }
  }
  return 0;
}
