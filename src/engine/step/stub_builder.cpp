// Generates stubs (stub.h) from what liveness says about the instruction.
#include <xbyak/xbyak.h>

#include <cstddef>
#include <cstring>

#include "engine/step/stub.h"
#include "isa/liveness.h"
#include "isa/rewrite.h"
#include "x86/registers.h"
#include "x86/rflags.h"

namespace eidolon::engine::step {

namespace {

using Xbyak::Reg64;

constexpr unsigned kRsp = x86::kRsp;
constexpr int kNone = -1;
constexpr auto kArithmetic = static_cast<uint32_t>(x86::kFlagsArithmetic);

/// The registers that the stub itself needs, apart from the instruction's.
struct Plan {
  int state = kNone;
  int memory = kNone;
  int stack = kNone;  ///< holds the host's RSP while the guest's is in RSP
};

class StubWriter : public Xbyak::CodeGenerator {
 public:
  StubWriter(StubCode& out, const isa::RegisterUse& use, const Plan& plan)
      : Xbyak::CodeGenerator(out.bytes.size(), out.bytes.data()), use_(use), plan_(plan) {}

  void write(std::span<const uint8_t> instruction) {
    move_arguments();
    load_flags();
    load_registers();
    db(instruction.data(), instruction.size());
    store_registers();
    store_flags();
    ret();
  }

 private:
  static Reg64 reg(int index) { return Reg64(index); }
  [[nodiscard]] Xbyak::Address gpr(int index) const {
    return qword[reg(plan_.state) + offsetof(cpu::State, gpr) + static_cast<unsigned>(index) * 8];
  }
  [[nodiscard]] Xbyak::Address flags() const {
    return dword[reg(plan_.state) + offsetof(cpu::State, rflags)];
  }
  [[nodiscard]] static bool has(uint16_t set, int index) { return (set >> index) & 1; }

  /// From rdi (state) and rsi (memory), which may be each other's target.
  void move_arguments() {
    const bool crossed = plan_.state == x86::kRsi && plan_.memory == x86::kRdi;
    if (crossed) {
      xchg(rdi, rsi);
    } else if (plan_.state == x86::kRsi) {
      move_memory();
      move_state();
    } else {
      move_state();
      move_memory();
    }
  }
  void move_state() {
    if (plan_.state != x86::kRdi) mov(reg(plan_.state), rdi);
  }
  void move_memory() {
    if (plan_.memory != kNone && plan_.memory != x86::kRsi) mov(reg(plan_.memory), rsi);
  }

  /// Only the arithmetic flags: the host's TF, DF, NT and AC never are the guest's.
  void load_flags() {
    // What is written in part or perhaps not at all is stored whole, so it has to be loaded.
    const uint32_t kept = use_.flags_written != 0 ? kArithmetic & ~use_.flags_killed : 0;
    const uint32_t needed = use_.flags_read | kept;
    if ((needed & kArithmetic) == 0) return;
    const Reg64 temporary = reg(scratch(kNone));
    mov(temporary.cvt32(), flags());
    and_(temporary.cvt32(), kArithmetic);
    push(temporary);
    popfq();
  }

  void load_registers() {
    const auto loaded = static_cast<uint16_t>(use_.gpr_read | (use_.gpr_written & ~use_.gpr_killed));
    if (plan_.stack != kNone) mov(reg(plan_.stack), rsp);
    for (int i = 0; i < static_cast<int>(x86::kGprCount); ++i) {
      if (has(loaded, i)) mov(reg(i), gpr(i));
    }
  }

  void store_registers() {
    for (int i = 0; i < static_cast<int>(x86::kGprCount); ++i) {
      if (has(use_.gpr_written, i)) mov(gpr(i), reg(i));
    }
    if (plan_.stack != kNone) mov(rsp, reg(plan_.stack));
  }

  /// Every guest register is stored by now, so any may be scratch.
  void store_flags() {
    if ((use_.flags_written & kArithmetic) == 0) return;
    const int first = scratch(kNone);
    const Reg64 computed = reg(first), merged = reg(scratch(first));
    pushfq();
    pop(computed);
    mov(merged.cvt32(), flags());
    and_(computed.cvt32(), kArithmetic);
    and_(merged.cvt32(), ~kArithmetic);
    or_(merged.cvt32(), computed.cvt32());
    mov(flags(), merged.cvt32());
  }

  [[nodiscard]] int scratch(int taken) const {
    int candidate = x86::kRax;
    while (candidate == plan_.state || candidate == plan_.memory || candidate == taken || candidate == kRsp)
      ++candidate;
    return candidate;
  }

  const isa::RegisterUse& use_;
  const Plan& plan_;
};

/// The lowest register but RSP that is in neither set; the low ones need no REX prefix, which ah .. bh
/// cannot have.
int take_free(uint16_t& used, bool from_below) {
  for (int i = 0; i < static_cast<int>(x86::kGprCount); ++i) {
    const int index = from_below ? i : static_cast<int>(x86::kGprCount) - 1 - i;
    if (static_cast<unsigned>(index) == kRsp || ((used >> index) & 1)) continue;
    used |= static_cast<uint16_t>(1u << index);
    return index;
  }
  return kNone;
}

bool rewrite(const isa::Instruction& instruction, std::span<const uint8_t> guest_bytes, int base,
             isa::HostBytes& out) {
  if (isa::is_bit_string(instruction))
    return isa::rewrite_bit_string(instruction, guest_bytes, static_cast<unsigned>(base), out);
  return base == kNone ? isa::rewrite_plain(instruction, guest_bytes, out)
                       : isa::rewrite_base(instruction, guest_bytes, static_cast<unsigned>(base), out);
}

}  // namespace

bool build_stub(const isa::Instruction& instruction, std::span<const uint8_t> guest_bytes, StubCode& out) {
  const isa::RegisterUse use = isa::register_use(instruction);
  auto used = static_cast<uint16_t>(use.gpr_read | use.gpr_written);
  Plan plan;
  const bool rsp_used = (used >> kRsp) & 1;
  if (isa::has_explicit_memory(instruction)) plan.memory = take_free(used, true);
  plan.state = take_free(used, true);
  if (rsp_used) plan.stack = take_free(used, false);

  isa::HostBytes rewritten;
  if (!rewrite(instruction, guest_bytes, plan.memory, rewritten)) return false;
  StubWriter writer(out, use, plan);
  writer.write(rewritten.span());
  out.size = static_cast<unsigned>(writer.getSize());
  return true;
}

}  // namespace eidolon::engine::step
