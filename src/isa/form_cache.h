// Decoded instructions, kept by what determines them: prefixes, opcode, ModRM and SIB, but not the
// displacement or an immediate whose value changes nothing but itself. Programs use a few thousand such
// forms, so most instructions need not be decoded: their form is looked up, and the two values are read from
// the bytes.
//
// What is kept is the decoder's own answer. Only where the parts of an instruction lie is found out here (SDM
// volume 2, 2.1 and appendix A), for the legacy encodings in 32- and 64-bit code; a form is kept only if the
// decoder sees the displacement and the immediate in the same places.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/chunks.h"
#include "isa/decoder.h"
#include "isa/instruction_layout.h"
#include "isa/liveness.h"

namespace eidolon::isa {

/// Displacement and immediate are those of the instruction that it was made from: the values that count are
/// in FormCache::Found.
struct alignas(64) Form {
  RegisterUse use;
  int64_t immediate = 0;  ///< if its value is part of the form
  /// For the user of the cache, who may find out more about the form; 0 at first.
  mutable uint32_t note = 0;
  bool immediate_is_signed = false;
  bool verbatim = false;  ///< rewrite_plain() would give the bytes as they are
  Instruction instruction;
};

class FormCache {
 public:
  explicit FormCache(const Decoder& decoder);

  struct Found {
    const Form* form;
    int64_t displacement, immediate;  ///< sign- or zero-extended, as the decoder has them; 0: there is none
  };
  /// The instruction at the start of `bytes`, if it is of a kind that is kept, and all there. The form stays
  /// until `trim`.
  [[nodiscard]] std::optional<Found> find(CodeSize size, std::span<const uint8_t> bytes) {
    const auto hit = look_up(size, bytes);
    return hit ? std::optional(complete(*hit)) : std::nullopt;
  }

  /// The two halves of find(). Forms are large, and few of those that code new to the processor uses are in
  /// its caches: look_up() has the form fetched, but does not wait for it, so that those of several
  /// instructions can be on their way at once.
  struct Hit {
    const Form* form;
    int64_t displacement;
    uint64_t immediate;  ///< zero-extended
    uint8_t immediate_size;
    uint8_t length;
    bool jumps;  ///< its class is kControlFlow
  };
  [[nodiscard]] std::optional<Hit> look_up(CodeSize size, std::span<const uint8_t> bytes);
  [[nodiscard]] static Found complete(const Hit& hit);

  /// Forgets everything if there is a lot.
  void trim();
  [[nodiscard]] size_t size() const { return forms_.size(); }

  static constexpr size_t kMostForms = 6144;

 private:
  static constexpr unsigned kSlotsLog2 = 14;
  static constexpr size_t kSlots = size_t{1} << kSlotsLog2;
  struct Slot {
    uint64_t key = 0;
    uint64_t form = 0;  ///< address of a Form; bit 0: it jumps
  };
  [[nodiscard]] const Form* make(CodeSize size, std::span<const uint8_t> bytes,
                                 const InstructionLayout& layout);

  const Decoder& decoder_;
  using Table = std::vector<Slot>;
  std::array<Table, 2> slots_;  ///< of 32- and of 64-bit code
  Chunks<Form> forms_;
};

}  // namespace eidolon::isa
