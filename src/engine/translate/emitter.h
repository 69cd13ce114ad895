// The assembler of the translator: Xbyak over the code cache, with operands in the per-processor area, which
// the GS segment reaches. Positions are offsets from the start of the cache.
#pragma once

#define XBYAK_NO_OP_NAMES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wextra"
#include <xbyak/xbyak.h>
#pragma GCC diagnostic pop

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "cpu/cpu.h"
#include "engine/translate/frame.h"
#include "engine/translate/relocation.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

/// Displacements from the GS base (the address of the Cpu).
class Layout {
 public:
  explicit Layout(cpu::Cpu& cpu) : cpu_(cpu), frame_(frame_of(cpu)) {}

  [[nodiscard]] uint32_t gpr(unsigned index) const { return of(&cpu_.state.gpr[index]); }
  [[nodiscard]] uint32_t rflags() const { return of(&cpu_.state.rflags); }
  [[nodiscard]] uint32_t segment_base(x86::Segment s) const { return of(&cpu_.state.segment[s].base); }
  [[nodiscard]] uint32_t selector(x86::Segment s) const { return of(&cpu_.state.segment[s].selector); }
  /// The limit follows.
  [[nodiscard]] uint32_t attributes(x86::Segment s) const { return of(&cpu_.state.segment[s].attributes); }
  [[nodiscard]] uint32_t star() const { return of(&cpu_.state.star); }
  [[nodiscard]] uint32_t lstar() const { return of(&cpu_.state.lstar); }
  [[nodiscard]] uint32_t fmask() const { return of(&cpu_.state.fmask); }
  [[nodiscard]] uint32_t kernel_gs_base() const { return of(&cpu_.state.kernel_gs_base); }
  [[nodiscard]] uint32_t deferred_events() const { return of(&frame_.deferred_events); }
  [[nodiscard]] uint32_t pauses_left() const { return of(&frame_.pauses_left); }
  [[nodiscard]] uint32_t extended_away() const { return of(&frame_.extended_away); }
  [[nodiscard]] uint32_t tsc_aux() const { return of(&cpu_.state.tsc_aux); }
  [[nodiscard]] uint32_t tsc_offset() const { return of(&cpu_.state.tsc_offset); }
  [[nodiscard]] uint32_t task_priority() const { return of(&cpu_.events.priority.task); }
  [[nodiscard]] uint32_t waiting_priority() const { return of(&cpu_.events.priority.waiting); }
  [[nodiscard]] uint32_t cr4() const { return of(&cpu_.state.control.cr4); }
  [[nodiscard]] uint32_t xcr0() const { return of(&cpu_.state.xcr0); }
  [[nodiscard]] uint32_t cpuid() const { return of(frame_.cpuid.data()); }
  [[nodiscard]] uint32_t events() const { return of(cpu_.events.word()); }
  using TlbPart = decltype(mmu::VirtualTlb::Table::read_tag);
  [[nodiscard]] uint32_t tlb(mmu::View view, TlbPart mmu::VirtualTlb::Table::*part) const {
    return of(&(cpu_.mmu.tlb().table(view).*part));
  }
  [[nodiscard]] uint32_t tlb_tag(mmu::View view, bool write) const {
    return tlb(view, write ? &mmu::VirtualTlb::Table::write_tag : &mmu::VirtualTlb::Table::read_tag);
  }
  [[nodiscard]] uint32_t tlb_delta(mmu::View view) const { return tlb(view, &mmu::VirtualTlb::Table::delta); }
  [[nodiscard]] uint32_t host_gpr(unsigned index) const { return of(&frame_.host_gpr[index]); }
  [[nodiscard]] uint32_t flags() const { return of(&frame_.flags); }
  [[nodiscard]] uint32_t monitor_rsp() const { return of(&frame_.monitor_rsp); }
  [[nodiscard]] uint32_t resume() const { return of(&frame_.resume); }
  [[nodiscard]] uint32_t address() const { return of(&frame_.address); }
  [[nodiscard]] uint32_t site() const { return of(&frame_.site); }
  [[nodiscard]] uint32_t saved_flags() const { return of(&frame_.saved_flags); }
  [[nodiscard]] uint32_t jump_target() const { return of(&frame_.jump_target); }
  [[nodiscard]] uint32_t jump_cache() const { return of(frame_.jump_cache.data()); }
  [[nodiscard]] uint32_t returns(unsigned table) const { return of(frame_.returns[table].data()); }
  [[nodiscard]] uint32_t page_ids() const { return of(frame_.page_ids.data()); }

 private:
  [[nodiscard]] uint32_t of(const void* at) const {
    return static_cast<uint32_t>(static_cast<const char*>(at) - reinterpret_cast<const char*>(&cpu_));
  }
  cpu::Cpu& cpu_;
  Frame& frame_;
};

class Emitter : public Xbyak::CodeGenerator {
 public:
  /// `mind_lines`: see compare_and_jump().
  Emitter(uint8_t* writable, size_t size, bool mind_lines)
      : CodeGenerator(size, writable), mind_lines_(mind_lines) {}

  [[nodiscard]] uint32_t at() const { return static_cast<uint32_t>(getSize()); }
  void rewind(uint32_t offset) { setSize(offset); }

  // The cache has two parts: what runs often lies together, and what hardly ever runs lies elsewhere.
  [[nodiscard]] uint32_t cold_at() const { return cold_at_; }
  void rewind_cold(uint32_t offset) { cold_at_ = offset; }
  /// From here on code goes to the part for code that hardly ever runs, until `go_hot`.
  void go_cold() {
    cold_ = true;
    hot_at_ = at();
    rewind(cold_at_);
  }
  void go_hot() {
    cold_ = false;
    cold_at_ = at();
    rewind(hot_at_);
  }
  void gs() { db(0x65); }

  /// From now on relocations are noted in `relocations`, or, if it is null, in none.
  void note_relocations_in(std::vector<Relocation>* relocations) { relocations_ = relocations; }
  /// Of the `size` bytes in front of here, or of those that begin so far in front of here.
  void note(Relocation::Kind kind, uint32_t size = 4) {
    if (relocations_ != nullptr) relocations_->emplace_back(at() - size, kind);
  }

  // 64-bit moves between a register (0..15) and the per-processor area. None touches the flags.
  void load(unsigned reg, uint32_t displacement) { put_area_operand(0x8b, reg, displacement); }
  void store(uint32_t displacement, unsigned reg) { put_area_operand(0x89, reg, displacement); }
  void store32(uint32_t displacement, uint32_t value) {
    put(0x2504c765 | uint64_t{displacement} << 32, 8);  // mov dword [gs:displacement], value
    put(value, 4);
  }
  void compare32(uint32_t displacement, uint32_t value) {
    const bool narrow = value < 0x80;
    put((narrow ? 0x253c8365 : 0x253c8165) | uint64_t{displacement} << 32, 8);  // cmp dword [gs:displacement]
    put(value, narrow ? 1 : 4);
  }
  /// The opcodes of "op r64, r/m64".
  enum class Operation : uint8_t { kAdd = 0x03, kXor = 0x33, kMove = 0x8b };
  /// `reg` and a quadword of a table in the per-processor area.
  void with_element(Operation operation, unsigned reg, unsigned index, uint32_t table) {
    const uint64_t rex = 0x48 | (reg >> 3) << 2 | (index >> 3) << 1;
    const uint64_t sib = 0xc5 | (index & 7) << 3;  // index * 8 + disp32
    put(0x65 | rex << 8 | static_cast<uint64_t>(operation) << 16 | uint64_t{4 | (reg & 7) << 3} << 24 |
            sib << 32,
        5);
    put(table, 4);
  }
  /// "op reg, [operand]" or the reverse, as the opcode has it, of 64 or 32 bits.
  void with_operand(uint8_t opcode, bool wide, unsigned reg, const isa::HostOperand& operand) {
    Bytes code;
    if (const unsigned rex = (wide ? 8 : 0) | (reg >> 3) << 2 | (operand.index >> 3) << 1 | operand.base >> 3;
        rex != 0)
      code.add(0x40 | rex);
    code.add(opcode);
    const unsigned low = operand.base & 7;
    const bool absent = operand.displacement == 0 && low != 5;
    const bool narrow = operand.displacement == static_cast<int8_t>(operand.displacement);
    const bool sib = low == 4 || operand.index != isa::HostOperand::kNone;
    code.add((absent ? 0 : narrow ? 0x40 : 0x80) | (reg & 7) << 3 | (sib ? 4 : low));
    if (sib) code.add(operand.scale_log2 << 6 | (operand.index & 7) << 3 | low);
    if (!absent && narrow) code.add(static_cast<uint8_t>(operand.displacement));
    put(code.value, code.size);
    if (!absent && !narrow) put(static_cast<uint32_t>(operand.displacement), 4);
  }
  static constexpr uint8_t kLea = 0x8d, kLoad = 0x8b, kStore = 0x89;
  /// mov [operand], value, which is sign-extended to 64 bits.
  void store_constant(bool wide, const isa::HostOperand& operand, uint32_t value) {
    with_operand(0xc7, wide, 0, operand);
    put(value, 4);
  }
  /// mov to, from
  void move(bool wide, unsigned to, unsigned from) {
    Bytes code;
    if (const unsigned rex = (wide ? 8 : 0) | (to >> 3) << 2 | from >> 3; rex != 0) code.add(0x40 | rex);
    code.add(kLoad);
    code.add(0xc0 | (to & 7) << 3 | (from & 7));
    put(code.value, code.size);
  }
  void shift_right32(unsigned reg, uint8_t count) {
    Bytes code;
    if (reg >= 8) code.add(0x41);
    code.add(0xc1);
    code.add(0xe8 | (reg & 7));
    code.add(count);
    put(code.value, code.size);
  }
  void compare64(unsigned reg, uint32_t value) {  // sign-extended
    put(uint64_t{0x48 | reg >> 3} | 0x8100 | uint64_t{0xf8 | (reg & 7)} << 16, 3);
    put(value, 4);
  }
  /// LAHF; SETO AL; mov [gs:displacement], eax
  void save_flags(uint32_t displacement) {
    put(0x25048965'c0900f9f, 8);
    put(displacement, 4);
  }
  /// mov eax, [gs:displacement]; add al, 0x7f (1 sets OF, 0 clears it); SAHF
  void restore_flags(uint32_t displacement) {
    put(0x25048b65 | uint64_t{displacement} << 32, 8);
    put(0x9e7f04, 3);
  }
  /// The shortest move of a constant that leaves the flags alone.
  void load_constant(unsigned reg, uint64_t value) {
    if (value == static_cast<uint32_t>(value)) {
      if (reg >= 8) put(0x41, 1);
      put(0xb8 | (reg & 7) | value << 8, 5);
    } else if (value == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)))) {
      db(reg >= 8 ? 0x49 : 0x48);  // mov r/m64, imm32 sign-extended
      db(0xc7);
      db(0xc0 | (reg & 7));
      dd(static_cast<uint32_t>(value));
    } else {
      db(reg >= 8 ? 0x49 : 0x48);
      db(0xb8 | (reg & 7));
      dq(value);
    }
  }
  void bytes(std::span<const uint8_t> code) {
    std::memcpy(top_ + size_, code.data(), code.size());
    size_ += code.size();
  }
  /// The code at [begin, end) once more.
  void copy(uint32_t begin, uint32_t end) { bytes({top_ + begin, end - begin}); }
  // Code that is there already.
  [[nodiscard]] uint32_t word_at(uint32_t offset) const {
    uint32_t value = 0;
    std::memcpy(&value, top_ + offset, sizeof value);
    return value;
  }
  void set_word(uint32_t offset, uint32_t value) { std::memcpy(top_ + offset, &value, sizeof value); }
  void add_to_word(uint32_t offset, uint32_t change) { set_word(offset, word_at(offset) + change); }
  void add_to_quadword(uint32_t offset, uint64_t change) {
    uint64_t value = 0;
    std::memcpy(&value, top_ + offset, sizeof value);
    value += change;
    std::memcpy(top_ + offset, &value, sizeof value);
  }
  /// Lets the rel32 at `offset` point to `target`.
  void set_target(uint32_t offset, uint32_t target) { set_word(offset, target - (offset + 4)); }
  /// Where the rel32 at `offset` points to.
  [[nodiscard]] uint32_t target_at(uint32_t offset) const { return offset + 4 + word_at(offset); }
  /// The next code lies in its line as that at `offset` does in its own.
  void lie_as(uint32_t offset) { nop((offset - at()) % kCacheLine); }
  [[nodiscard]] bool minds_lines() const { return mind_lines_ && !cold_; }

  /// jmp rel32; returns where the rel32 is.
  uint32_t jump(uint32_t target = 0) {
    put(0xe9, 1);
    return rel32(target);
  }
  /// jcc rel32 with the condition code of the opcode's low four bits.
  uint32_t jump_if(unsigned condition, uint32_t target = 0) {
    keep_in_line(kJumpIfBytes);
    put(0x800f | condition << 8, 2);
    return rel32(target);
  }
  /// A comparison and the jump on its result. Both in one 32-byte line and not at its end: other jumps are
  /// decoded anew each time by many of Intel's processors ("Mitigations for Jump Conditional Code Erratum").
  template <typename Compare>
  uint32_t compare_and_jump(Compare compare, unsigned condition, uint32_t target = 0) {
    const uint32_t start = at();
    compare();
    if (const uint32_t size = at() - start + kJumpIfBytes; minds_lines() && !in_one_line(start, size)) {
      rewind(start);
      keep_in_line(size);
      compare();
    }
    return jump_if(condition, target);
  }
  static constexpr uint32_t kJumpIfBytes = 6;
  /// What comes next is at the start of a line of the host's cache: a short loop then takes as few of them as it can.
  void begin_line() { nop(-at() % kCacheLine); }
  /// Code of `size` bytes that ends with a jump comes next.
  void keep_in_line(uint32_t size) {
    if (minds_lines() && !in_one_line(at(), size)) nop(kLine - at() % kLine);
  }
  void patch_here(uint32_t rel32_at) {
    const uint32_t displacement = at() - (rel32_at + 4);
    rewrite(rel32_at, displacement, 4);
  }

 private:
  /// Up to eight bytes of code.
  struct Bytes {
    uint64_t value = 0;
    uint32_t size = 0;
    void add(unsigned byte) { value |= uint64_t{byte} << 8 * size++; }
  };
  /// Bytes, the lowest first. For what is emitted most: eight are written at once, whatever is behind them,
  /// where Xbyak looks at each for itself. There is room: a block begins only if there is a lot of it.
  void put(uint64_t code, uint32_t size) {
    std::memcpy(top_ + size_, &code, sizeof code);
    size_ += size;
  }
  void put_area_operand(uint8_t opcode, unsigned reg, uint32_t displacement) {
    const uint64_t rex = 0x48 | (reg >> 3) << 2;
    put(0x65 | rex << 8 | uint64_t{opcode} << 16 | uint64_t{4 | (reg & 7) << 3} << 24 | uint64_t{0x25} << 32,
        5);
    put(displacement, 4);
  }
  const bool mind_lines_;
  uint32_t hot_at_ = 0, cold_at_ = 0;
  bool cold_ = false;
  static constexpr uint32_t kLine = 32, kCacheLine = 64;
  [[nodiscard]] static bool in_one_line(uint32_t start, uint32_t size) {
    return start / kLine == (start + size) / kLine;
  }
  uint32_t rel32(uint32_t target) {
    const uint32_t position = at();
    put(target - (position + 4), 4);
    note(Relocation::Kind::kJump);
    return position;
  }
  std::vector<Relocation>* relocations_ = nullptr;
};

inline constexpr unsigned kConditionB = 2, kConditionAe = 3, kConditionE = 4, kConditionNe = 5,
                          kConditionA = 7;

// A general register of the host by its number, at a width.
inline Xbyak::Reg64 reg64(unsigned reg) { return Xbyak::Reg64(static_cast<int>(reg)); }
inline Xbyak::Reg32 reg32(unsigned reg) { return Xbyak::Reg32(static_cast<int>(reg)); }
inline Xbyak::Reg16 reg16(unsigned reg) { return Xbyak::Reg16(static_cast<int>(reg)); }
inline Xbyak::Reg8 reg8(unsigned reg) {  // sil and dil, not dh and bh
  return Xbyak::Reg8(static_cast<int>(reg), reg >= 4);
}
inline Xbyak::Reg sized(unsigned reg, unsigned bits) {
  if (bits == 8) return reg8(reg);
  if (bits == 16) return reg16(reg);
  if (bits == 32) return reg32(reg);
  return reg64(reg);
}

}  // namespace eidolon::engine::translate
