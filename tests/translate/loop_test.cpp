// Loops of one block whose accesses stand still or move by a constant, on the step engine and on the
// translator, which knows their pages for some executions ahead: over page boundaries, in both directions, by
// base, by index and by both, with pages that are missing, read only or not dirty yet.
#include "translate/paged_window.h"

namespace eidolon::engine {
namespace {

/// Appends instructions that are the same in 32- and in 64-bit code, but for REX prefixes. Little but
/// addresses is in registers, so that there are some left to keep pages in.
class Loop {
 public:
  /// `relative`: addresses without a register are relative to RIP.
  Loop(uint64_t seed, bool wide, bool relative = false) : random_(seed), wide_(wide), relative_(relative) {}

  std::vector<uint8_t> make() {
    put({0xbd});  // mov ebp: the loop's count
    put32(static_cast<uint32_t>(1 + pick(pick(2) ? 12 : 400)));
    if (wide_ && pick(2)) put({0x41, 0xbd, static_cast<unsigned>(pick(256)), 0, 0, 0});  // mov r13d
    const size_t start = code_.size();
    const uint64_t parts = 1 + pick(6);
    for (uint64_t i = 0; i < parts; ++i) {
      add_access();
      if (pick(3) == 0) add_movement();
    }
    const uint64_t movements = pick(4);
    for (uint64_t i = 0; i < movements; ++i) add_movement();
    put({0xff, 0xcd, 0x0f, 0x85});  // dec ebp; jnz
    put32(static_cast<uint32_t>(start - (code_.size() + 4)));
    for (const size_t at : exits_) {
      const auto distance = static_cast<uint32_t>(code_.size() - (at + 4));
      for (unsigned i = 0; i < 4; ++i) code_[at + i] = static_cast<uint8_t>(distance >> 8 * i);
    }
    return code_;
  }

 private:
  uint64_t pick(uint64_t count) { return random_() % count; }
  void put(std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) code_.push_back(static_cast<uint8_t>(byte));
  }
  void put32(uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) code_.push_back(static_cast<uint8_t>(value >> 8 * i));
  }
  unsigned base_register() {
    constexpr unsigned kBases[] = {3, 6, 4, 12};  // rbx, rsi, rsp, r12
    return kBases[pick(wide_ ? 4 : 3)];
  }
  unsigned index_register() { return wide_ && pick(2) ? 13 : 7; }  // r13, rdi

  void memory(std::initializer_list<unsigned> prefixes, std::initializer_list<unsigned> opcode, unsigned reg,
              bool may_extend = true) {
    put(prefixes);
    const bool absolute = pick(10) == 0, indexed = !absolute && pick(2),
               based = !absolute && (!indexed || pick(4));
    unsigned base = based ? base_register() : 5, index = indexed ? index_register() : 4;
    if (!may_extend) base = base == 12 ? 3 : base, index = index == 13 ? 7 : index;
    const unsigned rex =
        (wide_ && may_extend && pick(2) ? 8u : 0u) | (index >= 8 ? 2 : 0) | (base >= 8 ? 1 : 0);
    if (rex != 0) put({0x40 | rex});
    put(opcode);
    if (absolute && relative_) {
      put({reg << 3 | 5});
      const uint64_t address = kWindow + 0x2000 + pick(0x40) * 0x40;
      return put32(static_cast<uint32_t>(address - (BareMachine::kCode + code_.size() + 4)));
    }
    put({(based ? 0x80u : 0u) | reg << 3 | 4,
         static_cast<unsigned>(pick(4)) << 6 | (index & 7) << 3 | (base & 7)});
    uint32_t displacement = static_cast<uint32_t>(pick(32)) * 8;
    if (pick(4) == 0) displacement += static_cast<uint32_t>(pick(8)) - 100;
    if (!based) displacement += kWindow + 0x2000 + static_cast<uint32_t>(pick(0x40)) * 0x40;
    put32(displacement);
  }
  void add_access() {
    const auto reg = static_cast<unsigned>(pick(3));  // rax, rcx, rdx
    switch (pick(15)) {
      case 0:
      case 1:
      case 2:
        return memory({}, {0x8b}, reg);
      case 3:
      case 4:
        return memory({}, {0x89}, reg);
      case 5:
        return memory({}, {0x01}, reg);
      case 6:
        return memory({}, {0x13}, reg);  // adc: flags pass from one execution to the next, or from before
      case 7:
        return memory({}, {0x0f, 0xb6}, reg);
      case 8:
        return memory({}, {0x88}, static_cast<unsigned>(pick(8)), false);  // ah to bh, too
      case 9:
        return memory({}, {0x0f, 0x11}, static_cast<unsigned>(pick(8)));
      case 10:
        return memory({}, {0x0f, 0x58}, static_cast<unsigned>(pick(8)));  // addps: may not be aligned
      case 11:
        return memory({0xf0}, {0x0f, 0xc1}, reg);
      case 12:  // cmp al, imm8; je behind the loop
        put({0x3c, static_cast<unsigned>(pick(256)), 0x0f, 0x84});
        exits_.push_back(code_.size());
        return put32(0);
      case 13:
        return put({0x50 | reg});  // push
      default:
        return put({0x58 | reg});  // pop
    }
  }
  /// add to a base or an index; or lea rbx, [rsi + disp8], after which nothing is known of rbx.
  void add_movement() {
    constexpr int kDistances[] = {1, 2, 4, 8, 16, 24, 40, 64, 100, 127, -1, -8, -12, -64, -128};
    const auto distance = static_cast<unsigned>(kDistances[pick(15)]) & 0xff;
    const unsigned reg = pick(3) ? base_register() : index_register();
    if (wide_) put({0x48u | (reg >= 8 ? 1u : 0u)});
    if (pick(12) == 0 && reg < 8) return put({0x8d, 0x5e, distance});
    put({0x83, 0xc0 | (reg & 7), distance});
  }

  std::mt19937_64 random_;
  const bool wide_, relative_;
  std::vector<uint8_t> code_;
  std::vector<size_t> exits_;  ///< where displacements of jumps behind the loop are
};

void compare(bool wide) {
  PagedWindow window{.wide = wide, .kinds = 60};
  window.compare(3000, [wide](uint64_t seed) { return Loop(seed, wide).make(); });
  EXPECT_GT(window.shutdowns, 200u);
  EXPECT_LT(window.shutdowns, 2500u);
}

TEST(TranslateLoop, AgreesWithStepIn64BitCode) { compare(true); }
TEST(TranslateLoop, AgreesWithStepIn32BitCode) { compare(false); }

TEST(TranslateLoop, AgreesWithStepWhereCodeIsCopied) {
  PagedWindow window{.wide = true, .kinds = 60, .bases = kFarBases};
  window.compare(1500, [](uint64_t seed) { return Loop(seed, true, true).make(); });
  EXPECT_GT(window.shutdowns, 200u);
  EXPECT_GT(window.copied, 3000u);
}

}  // namespace
}  // namespace eidolon::engine
