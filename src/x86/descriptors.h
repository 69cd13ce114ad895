// Segment descriptors as memory holds them and the attribute word that hidden segment state keeps
// (SDM vol. 3, 3.4.5, 3.5, 7.2; the attribute layout is that of VMX access rights, 24.4.1).
#pragma once

#include <cstdint>

#include "base/bits.h"

namespace eidolon::x86 {

// Attribute bits: bits 47:40 of the descriptor in 7:0, bits 55:52 in 15:12.
inline constexpr uint32_t kAttrType = 0x0f;
inline constexpr uint32_t kAttrAccessed = 0x01;
inline constexpr uint32_t kAttrWritable = 0x02;    ///< data segments
inline constexpr uint32_t kAttrReadable = 0x02;    ///< code segments
inline constexpr uint32_t kAttrExpandDown = 0x04;  ///< data segments
inline constexpr uint32_t kAttrConforming = 0x04;  ///< code segments
inline constexpr uint32_t kAttrCode = 0x08;
inline constexpr uint32_t kAttrCodeOrData = 0x10;  ///< S: 0 for system segments and gates
inline constexpr unsigned kAttrDplShift = 5;
inline constexpr uint32_t kAttrDpl = 3u << 5;
inline constexpr uint32_t kAttrPresent = 0x80;
inline constexpr uint32_t kAttrAvailable = 1u << 12;
inline constexpr uint32_t kAttrLong = 1u << 13;      ///< L: 64-bit code
inline constexpr uint32_t kAttrBig = 1u << 14;       ///< D/B
inline constexpr uint32_t kAttrGranular = 1u << 15;  ///< G
inline constexpr uint32_t kAttrUnusable = 1u << 16;  ///< loaded with a null selector

// System descriptor types (S = 0).
enum SystemType : uint8_t {
  kTss16Available = 1,
  kLdt = 2,
  kTss16Busy = 3,
  kCallGate16 = 4,
  kTaskGate = 5,
  kInterruptGate16 = 6,
  kTrapGate16 = 7,
  kTss32Available = 9,  ///< the 64-bit TSS in IA-32e mode
  kTss32Busy = 11,
  kCallGate32 = 12,
  kInterruptGate32 = 14,
  kTrapGate32 = 15,
};

/// The eight bytes of a segment descriptor.
struct Descriptor {
  uint64_t raw = 0;

  [[nodiscard]] constexpr uint32_t attributes() const {
    return static_cast<uint32_t>(bits(raw, 47, 40) | bits(raw, 55, 52) << 12);
  }
  [[nodiscard]] constexpr uint32_t base() const {
    return static_cast<uint32_t>(bits(raw, 39, 16) | bits(raw, 63, 56) << 24);
  }
  /// In bytes, granularity applied: the offset of the last byte.
  [[nodiscard]] constexpr uint32_t limit() const {
    const auto field = static_cast<uint32_t>(bits(raw, 15, 0) | bits(raw, 51, 48) << 16);
    return bit(raw, 55) ? field << 12 | 0xfff : field;
  }
  [[nodiscard]] constexpr bool present() const { return bit(raw, 47); }
  [[nodiscard]] constexpr unsigned dpl() const { return static_cast<unsigned>(bits(raw, 46, 45)); }
  [[nodiscard]] constexpr unsigned type() const { return static_cast<unsigned>(bits(raw, 43, 40)); }
  [[nodiscard]] constexpr bool is_system() const { return !bit(raw, 44); }
  [[nodiscard]] constexpr bool is_code() const { return !is_system() && bit(raw, 43); }

  // Gates.
  [[nodiscard]] constexpr uint16_t gate_selector() const { return static_cast<uint16_t>(bits(raw, 31, 16)); }
  [[nodiscard]] constexpr uint32_t gate_offset() const {
    return static_cast<uint32_t>(bits(raw, 15, 0) | bits(raw, 63, 48) << 16);
  }
  [[nodiscard]] constexpr unsigned gate_parameter_count() const {
    return static_cast<unsigned>(bits(raw, 36, 32));
  }
  [[nodiscard]] constexpr unsigned gate_ist() const { return static_cast<unsigned>(bits(raw, 34, 32)); }
};

// Selectors.
[[nodiscard]] constexpr unsigned selector_rpl(uint16_t selector) { return selector & 3; }
[[nodiscard]] constexpr bool selector_in_ldt(uint16_t selector) { return selector & 4; }
[[nodiscard]] constexpr uint32_t selector_offset(uint16_t selector) { return selector & 0xfff8u; }
[[nodiscard]] constexpr bool selector_is_null(uint16_t selector) { return (selector & 0xfffc) == 0; }

}  // namespace eidolon::x86
