// FNSTENV, FLDENV, FNSAVE, FRSTOR (SDM volume 1, 8.1.10 and figures 8-9 to 8-12). The four formats differ by
// width, and by mode only in how pointers are cut up; as the pointers are zero, width is all that counts.
#include "base/try.h"
#include "cpu/handlers.h"
#include "cpu/state_image.h"

namespace eidolon::cpu::handlers {

namespace {

using namespace image;

constexpr unsigned kRegisterBytes = 80;  ///< eight registers, packed
constexpr unsigned kLongestImage = 28 + kRegisterBytes;
constexpr unsigned kWords = 7;  ///< FCW, FSW, FTW and four of pointers, in words or double words

[[nodiscard]] bool is_wide(const Operation& op) { return op.operand_size() != 2; }
[[nodiscard]] unsigned environment_size(const Operation& op) { return kWords * (is_wide(op) ? 4 : 2); }

/// The two tag bits of one register: valid, zero, special (SDM volume 1, 8.1.7).
[[nodiscard]] unsigned tag_of(const uint8_t* st) {
  const auto mantissa = load<uint64_t>(st, 0);
  const unsigned exponent = load<uint16_t>(st, 8) & 0x7fffu;
  if (exponent == 0 && mantissa == 0) return 1;
  const bool normal = exponent != 0 && exponent != 0x7fff && mantissa >> 63 != 0;
  return normal ? 0 : 2;
}

/// The full tag word from the abridged one. Tags are by physical register, the image is by stack position.
[[nodiscard]] uint16_t full_tags(const Legacy& legacy) {
  const unsigned top = top_of_stack(legacy.data());
  const unsigned abridged = legacy[kFtw];
  unsigned tags = 0;
  for (unsigned physical = 0; physical < 8; ++physical) {
    const unsigned position = (physical - top) & 7;
    const bool empty = (abridged >> physical & 1) == 0;
    const unsigned tag = empty ? 3 : tag_of(legacy.data() + kSt + 16 * position);
    tags |= tag << (physical * 2);
  }
  return static_cast<uint16_t>(tags);
}

[[nodiscard]] uint8_t abridged_tags(uint16_t full) {
  unsigned abridged = 0;
  for (unsigned physical = 0; physical < 8; ++physical) {
    if ((full >> (physical * 2) & 3u) != 3) abridged |= 1u << physical;
  }
  return static_cast<uint8_t>(abridged);
}

void write_environment(const Legacy& legacy, bool wide, uint8_t* to) {
  const uint16_t words[3] = {load<uint16_t>(legacy.data(), kFcw), load<uint16_t>(legacy.data(), kFsw),
                             full_tags(legacy)};
  if (!wide) {
    std::memset(to, 0, kWords * 2);
    std::memcpy(to, words, sizeof words);
    return;
  }
  // The unused upper halves are ones, but for those that hold parts of pointers.
  std::memset(to, 0, kWords * 4);
  for (unsigned i = 0; i < 3; ++i) store(to, i * 4, uint32_t{0xffff0000} | words[i]);
  store(to, 24, uint32_t{0xffff0000});
}

/// Control, status and tags of an environment, in FXSAVE's form; the registers of `legacy` stay.
void read_environment(const uint8_t* from, bool wide, Legacy& legacy) {
  const unsigned stride = wide ? 4 : 2;
  store(legacy.data(), kFcw, load<uint16_t>(from, 0));
  store(legacy.data(), kFsw, load<uint16_t>(from, stride));
  legacy[kFtw] = abridged_tags(load<uint16_t>(from, 2 * stride));
}

}  // namespace

Outcome<> fnstenv(Operation& op) {
  EIDOLON_TRY(check_x87(op));
  uint8_t bytes[kLongestImage];
  write_environment(guest_legacy(op.state.fpu), is_wide(op), bytes);
  EIDOLON_TRY(op.write_memory(op.operand(0), bytes, environment_size(op)));
  // All exceptions are masked afterwards.
  materialize_x87(op.state.fpu);
  uint8_t* fpu = op.state.fpu.bytes.data();
  store(fpu, kFcw, static_cast<uint16_t>(load<uint16_t>(fpu, kFcw) | 0x3f));
  update_error_summary(op.state.fpu);
  return {};
}

Outcome<> fldenv(Operation& op) {
  EIDOLON_TRY(check_x87_waiting(op));
  uint8_t bytes[kLongestImage];
  EIDOLON_TRY(op.read_memory(op.operand(0), bytes, environment_size(op)));
  Legacy legacy = guest_legacy(op.state.fpu);
  const unsigned old_top = top_of_stack(legacy.data());
  read_environment(bytes, is_wide(op), legacy);
  rotate_registers(legacy.data(), old_top, top_of_stack(legacy.data()));
  set_x87(op.state.fpu, legacy.data());
  return {};
}

Outcome<> fnsave(Operation& op) {
  EIDOLON_TRY(check_x87(op));
  uint8_t bytes[kLongestImage];
  const Legacy legacy = guest_legacy(op.state.fpu);
  write_environment(legacy, is_wide(op), bytes);
  const unsigned size = environment_size(op);
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(bytes + size + 10 * i, legacy.data() + kSt + 16 * i, 10);
  }
  EIDOLON_TRY(op.write_memory(op.operand(0), bytes, size + kRegisterBytes));
  initialize_x87_control(op.state.fpu);
  return {};
}

Outcome<> frstor(Operation& op) {
  EIDOLON_TRY(check_x87_waiting(op));
  uint8_t bytes[kLongestImage];
  const unsigned size = environment_size(op);
  EIDOLON_TRY(op.read_memory(op.operand(0), bytes, size + kRegisterBytes));
  Legacy legacy{};
  read_environment(bytes, is_wide(op), legacy);
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(legacy.data() + kSt + 16 * i, bytes + size + 10 * i, 10);
  }
  set_x87(op.state.fpu, legacy.data());
  return {};
}

}  // namespace eidolon::cpu::handlers
