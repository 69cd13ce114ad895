// The processor's x87 and vector state as the instructions that save and restore it see it.
//
// State::fpu is the truth while C++ runs: an XSAVE image in the standard format, at the host's offsets, whose
// XSTATE_BV says which components are not in their initial state (the bytes of the others mean nothing;
// MXCSR always counts). These are the helpers that the x87, FXSAVE and XSAVE families share.
// Layout: SDM volume 1, 10.5.1 and 13.4.
//
// FIP, FDP, FCS, FDS and FOP are zero in every image that a guest sees: what the host processor holds there
// are addresses of generated code. CPUID says so: selectors deprecated, FDP kept only for exceptions.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "cpu/operation.h"

namespace eidolon::cpu::image {

// Offsets in the legacy region.
inline constexpr unsigned kFcw = 0;
inline constexpr unsigned kFsw = 2;
inline constexpr unsigned kFtw = 4;       ///< abridged: one bit a register, 0 for empty
inline constexpr unsigned kPointers = 6;  ///< FOP, FIP, FDP, up to MXCSR
inline constexpr unsigned kMxcsr = 24;
inline constexpr unsigned kMxcsrMask = 28;
inline constexpr unsigned kSt = 32;  ///< ST(0) to ST(7), 16 bytes each
inline constexpr unsigned kXmm = 160;
inline constexpr unsigned kLegacySize = 512;
inline constexpr unsigned kHeaderSize = 64;
inline constexpr unsigned kExtended = kLegacySize + kHeaderSize;

inline constexpr uint16_t kInitialFcw = 0x37f;
inline constexpr uint32_t kInitialMxcsr = 0x1f80;
inline constexpr uint32_t kMxcsrDefined = 0xffff;  ///< MXCSR_MASK as the guest sees it

using Legacy = std::array<uint8_t, kLegacySize>;

template <typename T>
[[nodiscard]] T load(const uint8_t* bytes, unsigned offset) {
  T value;
  std::memcpy(&value, bytes + offset, sizeof value);
  return value;
}
template <typename T>
void store(uint8_t* bytes, unsigned offset, T value) {
  std::memcpy(bytes + offset, &value, sizeof value);
}

/// The legacy region as FXSAVE writes it: components out of use in their initial state, pointers zero.
[[nodiscard]] Legacy guest_legacy(const XsaveImage& fpu);

/// Takes the x87 part of `from` (bytes 0 to 23 and the registers), as a processor would hold it: reserved
/// bits dropped, ES and B recomputed, pointers forgotten.
void set_x87(XsaveImage& fpu, const uint8_t* from);
/// The top of the stack: which physical register ST(0) is.
[[nodiscard]] unsigned top_of_stack(const uint8_t* legacy);
/// Reorders the registers of an image, which stand in stack order, for another top of the stack: the physical
/// registers keep their contents.
void rotate_registers(uint8_t* legacy, unsigned old_top, unsigned new_top);
/// FNINIT: the registers keep their contents.
void initialize_x87_control(XsaveImage& fpu);
/// Makes FSW.ES and FSW.B follow from the flags and masks.
void update_error_summary(XsaveImage& fpu);
/// Gives SSE state bytes that mean what they say, for partial updates.
void materialize_xmm(XsaveImage& fpu);
/// The same for the x87 state.
void materialize_x87(XsaveImage& fpu);

/// #NM as x87 instructions raise it: CR0.EM or CR0.TS.
[[nodiscard]] Outcome<> check_x87(const Operation& op);
/// The same, and #MF for a pending unmasked exception: for the forms that wait.
[[nodiscard]] Outcome<> check_x87_waiting(const Operation& op);

}  // namespace eidolon::cpu::image
