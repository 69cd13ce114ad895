// Which memory accesses of a block can share one check of the virtual TLB.
//
// Registers are followed along the block as (value, offset): what a register held at the block's start, or
// where it was last written by something else than adding a constant, and how far it has moved since.
// Accesses whose addresses differ by constants only, and not by much, form a span: where the first of them is
// checked, the whole span is, and the others find the host address by their distance.
//
// Example: push rbx; sub rsp, 24; mov [rsp + 8], rdi; mov rax, [rsp + 32] are three accesses at -8, -24 and 0
// from the rsp of the start: one span of 32 bytes, that begins at -24.
//
// A whole span lies in one page, or the check fails. As addresses are compared in the page only, what wraps
// around at the end of the address space needs no thought.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/translate/mode.h"
#include "isa/decoder.h"

namespace eidolon::engine::translate {

struct DecodedInstruction;

/// Accesses that share one check.
struct Span {
  int64_t low = 0, high = 0;  ///< extent, in bytes from the common value
  uint16_t last = 0;          ///< the last instruction that has a part in it
  uint16_t members = 0;
  bool writes = false;  ///< at least one of them writes
  /// How far it is from here in the block's next execution, if the block jumps to itself.
  std::optional<int64_t> stride = {};

  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(high - low); }
};

/// An access's place in its span.
struct SpanMember {
  static constexpr uint16_t kNone = 0xffff;
  uint16_t span = kNone;
  int32_t offset = 0;   ///< from the span's lowest byte
  bool shared = false;  ///< it is not the only one
};

class Spans {
 public:
  static constexpr uint16_t kNoValue = 0xffff;

  /// What the addresses of one span have in common. The values 0 to 15 are those of the registers at the
  /// block's start.
  struct Key {
    uint16_t base, index;
    uint8_t scale, segment;
    uint64_t page;  ///< of an address that is known
    bool operator==(const Key&) const = default;
  };

  /// What a register holds: a value that it or another held before, and how far it has moved since.
  struct Value {
    uint16_t id = 0;
    int64_t offset = 0;
  };

  /// Extent that still shares: the more bytes, the more often they lie in two pages.
  static constexpr int64_t kMaxBytes = 512;

  /// Finds the spans of the block at `rip`. Without `share`, every access is on its own.
  void run(std::span<const DecodedInstruction> instructions, uint64_t rip, Mode mode, bool share);

  /// Of the instruction's explicit memory operand, and of its access to the stack.
  [[nodiscard]] SpanMember operand(size_t instruction) const { return member(operands_[instruction]); }
  [[nodiscard]] SpanMember stack(size_t instruction) const { return member(stacks_[instruction]); }
  [[nodiscard]] const Span& at(uint16_t span) const { return spans_[span]; }
  [[nodiscard]] const Key& key(uint16_t span) const { return keys_[span]; }
  /// What rsp holds before the instruction.
  [[nodiscard]] const Value& rsp(size_t instruction) const { return rsp_[instruction]; }
  [[nodiscard]] size_t count() const { return spans_.size(); }

 private:
  struct Access {
    uint16_t span = SpanMember::kNone;
    int64_t displacement = 0;
  };

  void add(Access& access, const Key& key, int64_t displacement, unsigned size, bool write, size_t at);
  void note_operand(const DecodedInstruction& d, size_t at, uint64_t rip);
  void note_stack(const DecodedInstruction& d, size_t at, unsigned width);
  void follow(const DecodedInstruction& d, unsigned width);
  void find_strides();
  [[nodiscard]] std::optional<int64_t> movement(uint16_t value) const;
  [[nodiscard]] Value fresh() { return {next_id_++, 0}; }
  [[nodiscard]] SpanMember member(const Access& access) const;

  std::array<Value, 16> values_;
  uint16_t next_id_ = 0;
  size_t before_jump_ = 0;  ///< spans that began before the last jump
  std::vector<Access> operands_, stacks_;
  std::vector<Value> rsp_;
  std::vector<Span> spans_;
  std::vector<Key> keys_;  ///< of spans_
};

}  // namespace eidolon::engine::translate
