// MTRRs and PAT (SDM volume 3, 12.11 and 12.12).
#include <cstddef>

#include "base/bits.h"
#include "cpu/msr.h"
#include "x86/paging.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

constexpr unsigned kVariableCount = 8;
constexpr uint64_t kMtrrCapFixed = 1u << 8;
constexpr uint64_t kMtrrCapWriteCombining = 1u << 10;
constexpr uint64_t kDefTypeDefined = 0xc00 | 0xff;  // E, FE, type

[[nodiscard]] bool is_mtrr_type(uint64_t type) { return type <= 1 || (type >= 4 && type <= 6); }
[[nodiscard]] bool is_pat_type(uint64_t type) { return is_mtrr_type(type) || type == 7; }

template <typename Predicate>
[[nodiscard]] bool all_bytes(uint64_t value, Predicate allowed) {
  for (unsigned i = 0; i < 64; i += 8) {
    if (!allowed(bits(value, i + 7, i))) return false;
  }
  return true;
}

/// The place of a fixed-range register in State::mtrr_fixed, or -1.
[[nodiscard]] int fixed_index(uint32_t msr) {
  if (msr == kMsrMtrrFix64k) return 0;
  if (msr == kMsrMtrrFix16k80000) return 1;
  if (msr == kMsrMtrrFix16kA0000) return 2;
  if (msr >= kMsrMtrrFix4kC0000 && msr < kMsrMtrrFix4kC0000 + 8)
    return static_cast<int>(msr - kMsrMtrrFix4kC0000) + 3;
  return -1;
}

[[nodiscard]] bool is_variable(uint32_t msr) {
  return msr >= kMsrMtrrPhysBase0 && msr < kMsrMtrrPhysBase0 + 2 * kVariableCount;
}

[[nodiscard]] bool variable_value_is_valid(bool is_mask, uint64_t value) {
  if (value >> kPhysicalAddressBits != 0) return false;
  if (is_mask) return (value & 0x7ff) == 0;
  return is_mtrr_type(value & 0xff) && (value & 0xf00) == 0;
}

}  // namespace

bool is_memory_type_msr(uint32_t msr) {
  return msr == kMsrMtrrCap || msr == kMsrMtrrDefType || msr == kMsrPat || is_variable(msr) ||
         fixed_index(msr) >= 0;
}

Outcome<uint64_t> read_memory_type_msr(const State& state, uint32_t msr) {
  if (msr == kMsrMtrrCap) return kVariableCount | kMtrrCapFixed | kMtrrCapWriteCombining;
  if (msr == kMsrMtrrDefType) return state.mtrr_def_type;
  if (msr == kMsrPat) return state.pat;
  if (is_variable(msr)) return state.mtrr_variable[msr - kMsrMtrrPhysBase0];
  const int index = fixed_index(msr);
  if (index < 0) return raise_gp();
  return state.mtrr_fixed[static_cast<size_t>(index)];
}

Outcome<> write_memory_type_msr(State& state, uint32_t msr, uint64_t value) {
  if (msr == kMsrMtrrDefType) {
    if ((value & ~kDefTypeDefined) != 0 || !is_mtrr_type(value & 0xff)) return raise_gp();
    state.mtrr_def_type = value;
    return {};
  }
  if (msr == kMsrPat) {
    if (!all_bytes(value, is_pat_type)) return raise_gp();
    state.pat = value;
    return {};
  }
  if (is_variable(msr)) {
    const unsigned index = msr - kMsrMtrrPhysBase0;
    if (!variable_value_is_valid((index & 1) != 0, value)) return raise_gp();
    state.mtrr_variable[index] = value;
    return {};
  }
  const int index = fixed_index(msr);
  if (index < 0 || !all_bytes(value, is_mtrr_type)) return raise_gp();
  state.mtrr_fixed[static_cast<size_t>(index)] = value;
  return {};
}

}  // namespace eidolon::cpu
