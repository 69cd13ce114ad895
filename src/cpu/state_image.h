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

inline constexpr unsigned kComponents = 8;
inline constexpr uint64_t kCompacted = uint64_t{1} << 63;  ///< of XCOMP_BV

/// Where each component lies in an XSAVE area, from its start.
struct AreaLayout {
  std::array<unsigned, kComponents> offset{};
  unsigned end = kExtended;
};
/// In the standard format, which is State::fpu's, at the host's offsets (SDM volume 1, 13.4.2).
[[nodiscard]] AreaLayout standard_area(const CpuidModel& model, uint64_t components);
/// In the compacted format (13.4.3), which is the host's own.
[[nodiscard]] AreaLayout compacted_area(const CpuidModel& model, uint64_t components);
/// XINUSE as the guest sees it: those of `components` in an area that are not in their initial state by what
/// they hold. The host's XINUSE is no answer: whether it counts a component in use that holds nothing is
/// left to the processor (13.6), and differs with where the host switches between programs. MXCSR has no
/// part in it.
[[nodiscard]] uint64_t in_use(const CpuidModel& model, const uint8_t* image, const AreaLayout& area,
                              uint64_t components);
[[nodiscard]] uint64_t in_use(const CpuidModel& model, const XsaveImage& fpu);
/// Whether XRSTOR takes the header of an area (SDM volume 1, 13.8): in the compacted format, or not.
[[nodiscard]] bool is_header(const uint8_t* header, uint64_t xcr0);

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
