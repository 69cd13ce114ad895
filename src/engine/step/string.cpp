// String operations (SDM volume 2: MOVS, CMPS, STOS, LODS, SCAS, REP). Registers are written after every
// element, so a fault leaves exactly the iterations done. A repeated one gives way to events after a while,
// with RIP unchanged.
#include <algorithm>
#include <cstring>

#include "engine/step/context.h"

namespace eidolon::engine::step {

using cpu::Outcome;
using mmu::Access;

namespace {

constexpr unsigned kMaxIterations = 4096;
constexpr uint64_t kMaxBytes = 64 << 10;

enum class Repeat : uint8_t { kNone, kWhileEqual, kWhileNotEqual };

/// The last of F2 and F3 counts; MOVS, STOS and LODS take both for REP.
Repeat repeat_of(const Operation& operation) {
  const auto& raw = operation.instruction.zydis.raw;
  for (unsigned i = raw.prefix_count; i > 0; --i) {
    if (raw.prefixes[i - 1].value == 0xf3) return Repeat::kWhileEqual;
    if (raw.prefixes[i - 1].value == 0xf2) return Repeat::kWhileNotEqual;
  }
  return Repeat::kNone;
}

/// RSI, RDI and RCX of one string operation, in its address size.
class Cursor {
 public:
  Cursor(Context& context, const Operation& operation)
      : context_(context),
        size(operation.operand_size),
        mask(operation.address_mask()),
        source_segment(operation.address.segment) {}

  [[nodiscard]] uint64_t source() const { return context_.state.gpr[x86::kRsi] & mask; }
  [[nodiscard]] uint64_t target() const { return context_.state.gpr[x86::kRdi] & mask; }
  [[nodiscard]] uint64_t count() const { return context_.state.gpr[x86::kRcx] & mask; }
  void move_source(uint64_t elements) { move(x86::kRsi, elements); }
  void move_target(uint64_t elements) { move(x86::kRdi, elements); }
  void take_from_count(uint64_t elements) { context_.write_masked(x86::kRcx, count() - elements, mask); }
  [[nodiscard]] bool backwards() const { return (context_.state.rflags & x86::kFlagDf) != 0; }

  [[nodiscard]] Outcome<uint64_t> load_source() { return context_.load(source_segment, source(), size); }
  [[nodiscard]] Outcome<uint64_t> load_target() { return context_.load(x86::kEs, target(), size); }
  [[nodiscard]] Outcome<> store_target(uint64_t value) {
    return context_.store(x86::kEs, target(), value, size);
  }

 private:
  void move(unsigned reg, uint64_t elements) {
    const uint64_t distance = elements * size;
    const uint64_t old = context_.state.gpr[reg];
    context_.write_masked(reg, backwards() ? old - distance : old + distance, mask);
  }

  Context& context_;

 public:
  const unsigned size;
  const uint64_t mask;
  const x86::Segment source_segment;
};

/// The flags of `left - right` in `size` bytes.
void set_compare_flags(cpu::State& state, uint64_t left, uint64_t right, unsigned size) {
  const unsigned width = size * 8;
  const uint64_t result = (left - right) & mask_below(width);
  uint64_t flags = state.rflags & ~x86::kFlagsArithmetic;
  if (left < right) flags |= x86::kFlagCf;
  if (result == 0) flags |= x86::kFlagZf;
  if (bit(result, width - 1)) flags |= x86::kFlagSf;
  if (bit((left ^ right) & (left ^ result), width - 1)) flags |= x86::kFlagOf;
  if ((left ^ right ^ result) & 0x10) flags |= x86::kFlagAf;
  if (__builtin_parity(static_cast<unsigned>(result & 0xff)) == 0) flags |= x86::kFlagPf;
  state.rflags = flags;
}

// One element each.

Outcome<> move_one(Context&, const Operation&, Cursor& cursor) {
  const uint64_t value = EIDOLON_TRY(cursor.load_source());
  EIDOLON_TRY(cursor.store_target(value));
  cursor.move_source(1);
  cursor.move_target(1);
  return {};
}

Outcome<> store_one(Context& context, const Operation&, Cursor& cursor) {
  EIDOLON_TRY(cursor.store_target(context.state.gpr[x86::kRax]));
  cursor.move_target(1);
  return {};
}

Outcome<> load_one(Context& context, const Operation&, Cursor& cursor) {
  const uint64_t value = EIDOLON_TRY(cursor.load_source());
  uint64_t& rax = context.state.gpr[x86::kRax];
  const uint64_t mask = mask_below(cursor.size * 8);
  rax = cursor.size >= 4 ? value : (rax & ~mask) | value;
  cursor.move_source(1);
  return {};
}

Outcome<> compare_one(Context& context, const Operation&, Cursor& cursor) {
  const uint64_t right = EIDOLON_TRY(cursor.load_target());
  const uint64_t left = EIDOLON_TRY(cursor.load_source());
  set_compare_flags(context.state, left, right, cursor.size);
  cursor.move_source(1);
  cursor.move_target(1);
  return {};
}

Outcome<> scan_one(Context& context, const Operation&, Cursor& cursor) {
  const uint64_t right = EIDOLON_TRY(cursor.load_target());
  const uint64_t left = context.state.gpr[x86::kRax] & mask_below(cursor.size * 8);
  set_compare_flags(context.state, left, right, cursor.size);
  cursor.move_target(1);
  return {};
}

using OneElement = Outcome<> (*)(Context&, const Operation&, Cursor&);

/// Elements from `offset` up to the end of its page, or of the address size, at most `wanted`.
uint64_t elements_in_page(uint64_t offset, uint64_t linear, const Cursor& cursor, uint64_t wanted) {
  const uint64_t page_left = x86::kPageSize - (linear & (x86::kPageSize - 1));
  const uint64_t wrap_left = cursor.mask - offset;  // one byte short of the wrap: enough
  return std::min({wanted, page_left / cursor.size, wrap_left / cursor.size});
}

/// Host address of as many elements at segment:offset as lie in one page that the virtual TLB knows; shrinks
/// `count`.
uint8_t* bulk_address(Context& context, const Cursor& cursor, x86::Segment segment, uint64_t offset,
                      Access access, uint64_t& count) {
  const auto first = context.linear(segment, offset, cursor.size, access);
  if (!first) return nullptr;
  count = elements_in_page(offset, *first, cursor, count);
  if (count == 0) return nullptr;
  const auto bytes = static_cast<unsigned>(count * cursor.size);
  const auto whole = context.linear(segment, offset, bytes, access);
  if (!whole) return nullptr;
  return context.cpu.mmu.tlb().lookup(*whole, bytes, access == Access::kWrite, context.cpu.data_view());
}

/// Fills `bytes` with the low `size` bytes of `value`, over and over.
void fill(uint8_t* to, uint64_t value, unsigned size, uint64_t bytes) {
  if (size == 1) {
    std::memset(to, static_cast<int>(value & 0xff), bytes);
    return;
  }
  for (uint64_t at = 0; at < bytes; at += size) std::memcpy(to + at, &value, size);
}

/// As an ascending copy element by element would: a target just above the source repeats the source.
void copy_ascending(uint8_t* to, const uint8_t* from, unsigned size, uint64_t bytes) {
  if (to <= from || to >= from + bytes) {
    std::memmove(to, from, bytes);
    return;
  }
  for (uint64_t at = 0; at < bytes; at += size) {
    uint64_t element = 0;
    std::memcpy(&element, from + at, size);
    std::memcpy(to + at, &element, size);
  }
}

/// Whether accesses may be done many at a time: no per-access check is armed, and the direction is up.
bool bulk_allowed(const Context& context, const Cursor& cursor) {
  const cpu::State& state = context.state;
  const bool watched = (state.dr7 & 0xff) != 0 || (state.rflags & x86::kFlagTf) != 0;
  // AC asks for alignment at CPL 3 only; a kernel sets it to reach user pages (STAC).
  const bool aligned = (state.rflags & x86::kFlagAc) != 0 && state.cpl() == 3;
  return !watched && !aligned && !cursor.backwards();
}

/// Several elements of a repeated MOVS or STOS at once; how many were done (0: do one with its checks).
uint64_t run_bulk(Context& context, const Operation& operation, Cursor& cursor, uint64_t wanted) {
  const bool moves = operation.instruction.zydis.opcode <= 0xa5;
  uint64_t count = wanted;
  uint8_t* to = bulk_address(context, cursor, x86::kEs, cursor.target(), Access::kWrite, count);
  if (to == nullptr) return 0;
  if (!moves) {
    fill(to, context.state.gpr[x86::kRax], cursor.size, count * cursor.size);
  } else {
    const uint8_t* from =
        bulk_address(context, cursor, cursor.source_segment, cursor.source(), Access::kRead, count);
    if (from == nullptr) return 0;
    copy_ascending(to, from, cursor.size, count * cursor.size);
    cursor.move_source(count);
  }
  cursor.move_target(count);
  cursor.take_from_count(count);
  return count;
}

template <OneElement kOne, bool kCompares, bool kBulk>
Outcome<> run_string(Context& context, const Operation& operation) {
  Cursor cursor(context, operation);
  const Repeat repeat = repeat_of(operation);
  if (repeat == Repeat::kNone) {
    EIDOLON_TRY(kOne(context, operation, cursor));
    context.advance();
    return {};
  }
  const uint64_t flags = context.state.rflags;
  uint64_t bytes = 0;
  for (unsigned done = 0; cursor.count() != 0; ++done) {
    if (done >= kMaxIterations || bytes >= kMaxBytes) return {};
    if constexpr (kBulk) {
      if (bulk_allowed(context, cursor)) {
        if (const uint64_t elements = run_bulk(context, operation, cursor, cursor.count())) {
          bytes += elements * cursor.size;
          continue;
        }
      }
    }
    if (const Outcome<> one = kOne(context, operation, cursor); !one) {
      if (!context.rules.faulting_compare_keeps_flags) context.state.rflags = flags;
      return one;
    }
    cursor.take_from_count(1);
    if constexpr (kCompares) {
      const bool equal = (context.state.rflags & x86::kFlagZf) != 0;
      if (equal != (repeat == Repeat::kWhileEqual)) break;
    }
    if ((context.state.rflags & x86::kFlagTf) != 0 || context.state.pending_debug != 0) {
      if (cursor.count() != 0) return {};  // traps come after each iteration
    }
  }
  context.advance();
  return {};
}

}  // namespace

Handler choose_string(const isa::Instruction& instruction) {
  switch (instruction.zydis.opcode & 0xfe) {
    case 0xa4:
      return run_string<move_one, false, true>;
    case 0xa6:
      return run_string<compare_one, true, false>;
    case 0xaa:
      return run_string<store_one, false, true>;
    case 0xac:
      return run_string<load_one, false, false>;
    default:
      return run_string<scan_one, true, false>;
  }
}

}  // namespace eidolon::engine::step
