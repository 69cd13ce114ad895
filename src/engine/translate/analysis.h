// Decoding of one block, and the liveness of its flags: what the emission of its code is based on.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/translate/block.h"
#include "engine/translate/block_table.h"
#include "isa/decoder.h"
#include "isa/form_cache.h"
#include "isa/liveness.h"

namespace eidolon::engine::translate {

inline constexpr uint32_t kArithmetic = x86::kFlagsArithmetic;

/// A sensitive instruction that generated code does by itself in this mode (builder_system.cpp).
[[nodiscard]] bool is_inline_system(const isa::Instruction& instruction, Mode mode);
/// XSAVEC and XRSTOR, which exits_extended.cpp does.
[[nodiscard]] bool moves_extended_state(const isa::Instruction& instruction);
/// One of them that goes somewhere else by itself: the end of its block.
[[nodiscard]] bool is_inline_transfer(const isa::Instruction& instruction);
/// One of them behind which the mode is another: the end of its block, too.
[[nodiscard]] bool changes_mode(const isa::Instruction& instruction);

struct DecodedInstruction {
  /// Its displacement and immediates may be those of another instruction like it: the values that count are
  /// below.
  const isa::Instruction* instruction;
  isa::RegisterUse use;
  int64_t displacement;    ///< of its memory operand; 0 if there is none
  int64_t immediate;       ///< of its immediate operand; 0 if there is none
  uint16_t offset;         ///< from the start of the block
  uint32_t flags_live_in;  ///< arithmetic flags that this or a later instruction may read
  uint32_t flags_live_out;
  bool step;      ///< ends the block: has to be stepped
  bool verbatim;  ///< as in isa::Form
};

class Analysis {
 public:
  static constexpr unsigned kMaxInstructions = 64;
  /// Conditional jumps that a block goes on behind.
  static constexpr unsigned kMostSideExits = 4;

  explicit Analysis(x86::Vendor vendor)
      : decoder_(vendor), forms_(decoder_), instructions_(kMaxInstructions), rare_(kMaxInstructions) {}
  Analysis(const Analysis&) = delete;
  Analysis& operator=(const Analysis&) = delete;

  /// Decodes from `rip`, at offset `start` of its page. There is at least one instruction, if only one to
  /// step, unless the first goes on in the next page: then needs_next_page().
  /// It ends where `blocks` has another already that starts behind a conditional jump, in the page at
  /// `physical`.
  void run(std::span<const uint8_t> page, uint32_t start, uint64_t rip, Mode mode,
           const BlockTable* blocks = nullptr, memory::GuestPhysical physical = 0);
  [[nodiscard]] bool needs_next_page() const { return count_ == 0; }
  /// After that: the one instruction, with the bytes of the next page.
  void run_crossing(std::span<const uint8_t> next_page);

  [[nodiscard]] std::span<const DecodedInstruction> instructions() const {
    return {instructions_.data(), count_};
  }
  [[nodiscard]] std::span<const uint8_t> bytes(const DecodedInstruction& d) const {
    const auto bytes =
        crossing_ ? std::span<const uint8_t>(crossing_bytes_) : std::span(page_).subspan(start_);
    return bytes.subspan(d.offset, d.instruction->length());
  }
  [[nodiscard]] uint16_t length() const { return length_; }
  /// Ranges of the page that were looked at beyond the block, for the liveness of flags.
  [[nodiscard]] const std::array<Watch, 2>& peeked() const { return peeked_; }

 private:
  using Hit = std::optional<isa::FormCache::Hit>;
  [[nodiscard]] isa::DecodeStatus decode(std::span<const uint8_t> bytes, const Hit& hit,
                                         DecodedInstruction& d, isa::Instruction& rare);
  void look_ahead();
  [[nodiscard]] bool add(std::span<const uint8_t> bytes, const Hit& hit);
  [[nodiscard]] std::span<const uint8_t> code_at(uint32_t offset);
  void cut_at_loop_head();
  void find_live_flags();
  [[nodiscard]] bool must_step(const isa::Form& form) const;
  [[nodiscard]] bool must_step(const isa::Instruction& instruction) const;
  [[nodiscard]] bool goes_on_behind(const DecodedInstruction& jump);
  [[nodiscard]] bool flags_matter_behind(size_t index) const;
  [[nodiscard]] uint64_t jump_target(const DecodedInstruction& jump) const;
  [[nodiscard]] uint32_t flags_live_at_end();
  [[nodiscard]] uint32_t peek_flags(uint64_t rip);
  void note_peek(uint32_t begin, uint32_t end);

  isa::Decoder decoder_;
  isa::FormCache forms_;
  std::vector<DecodedInstruction> instructions_;
  std::vector<isa::Instruction> rare_;  ///< what `forms_` does not keep, at the index of the instruction
  isa::Instruction rare_peek_;
  size_t count_ = 0;
  static constexpr size_t kAhead = 8;
  std::array<Hit, kAhead> ahead_{};  ///< of the instructions that come next
  size_t ahead_count_ = 0, ahead_next_ = 0;
  std::span<const uint8_t> source_;             ///< the page itself
  std::array<uint8_t, x86::kPageSize> page_{};  ///< as it was when it was looked at first, in pieces
  static constexpr uint32_t kPiece = 64;
  uint64_t copied_ = 0;  ///< pieces of page_ that are of this run
  static_assert(x86::kPageSize / kPiece == 64);
  uint32_t start_ = 0;
  uint64_t rip_ = 0;
  const BlockTable* blocks_ = nullptr;
  memory::GuestPhysical physical_ = 0;  ///< of the page
  uint16_t length_ = 0;
  unsigned jumps_ = 0;  ///< conditional jumps so far
  Mode mode_;
  bool crossing_ = false;
  std::array<uint8_t, 32> crossing_bytes_{};
  std::array<Watch, 2> peeked_{};
};

/// A jump to a place that the instruction names, conditional or not; no call.
[[nodiscard]] bool is_direct_jump(const isa::Instruction& instruction);
/// Whether the instruction is one that a block ends with and that emission knows: near jump, jcc, call, ret.
[[nodiscard]] bool is_known_branch(const isa::Instruction& instruction);

}  // namespace eidolon::engine::translate
