// The registers of a VGA adapter (IBM PS/2 Video Subsystem technical reference; FreeVGA) and of the Bochs
// display interface (the "VBE DISPI" of Bochs and QEMU), as plain data. What the processor does with them is
// in ports.cpp, vbe.cpp and window.cpp; what they show is in mode.cpp and the render files.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"

namespace eidolon::device::display {

namespace sequencer {
inline constexpr unsigned kReset = 0, kClocking = 1, kMapMask = 2, kFontSelect = 3, kMemoryMode = 4;
inline constexpr uint8_t k8Dots = 0x01, kHalfClock = 0x08, kScreenOff = 0x20;  // kClocking
inline constexpr uint8_t kSequential = 0x04, kChain4 = 0x08;                   // kMemoryMode
}  // namespace sequencer

namespace crtc {
inline constexpr unsigned kHorizontalTotal = 0x00, kHorizontalEnd = 0x01, kVerticalTotal = 0x06,
                          kOverflow = 0x07, kPresetRow = 0x08, kMaximumRow = 0x09, kCursorStart = 0x0a,
                          kCursorEnd = 0x0b, kStartHigh = 0x0c, kStartLow = 0x0d, kCursorHigh = 0x0e,
                          kCursorLow = 0x0f, kRetraceStart = 0x10, kRetraceEnd = 0x11, kVerticalEnd = 0x12,
                          kOffset = 0x13, kUnderline = 0x14, kModeControl = 0x17, kLineCompare = 0x18;
inline constexpr uint8_t kDoubleScan = 0x80;  // kMaximumRow
inline constexpr uint8_t kCursorOff = 0x20;   // kCursorStart
inline constexpr uint8_t kProtect = 0x80;     // kRetraceEnd: registers 0 to 7 are locked
inline constexpr uint8_t kDoubleWord = 0x40;  // kUnderline
inline constexpr uint8_t kNoRow0 = 0x01, kNoRow1 = 0x02, kWrapA15 = 0x20, kByteMode = 0x40;  // kModeControl
}  // namespace crtc

namespace graphics {
inline constexpr unsigned kSetReset = 0, kEnableSetReset = 1, kColourCompare = 2, kRotate = 3, kReadMap = 4,
                          kMode = 5, kMiscellaneous = 6, kColourCare = 7, kBitMask = 8;
inline constexpr uint8_t kReadCompare = 0x08, kHostOddEven = 0x10, kInterleave = 0x20,
                         k256Colours = 0x40;    // kMode
inline constexpr uint8_t kGraphicsMode = 0x01;  // kMiscellaneous
}  // namespace graphics

namespace attribute {
inline constexpr unsigned kMode = 0x10, kOverscan = 0x11, kPlaneEnable = 0x12, kPanning = 0x13,
                          kColourSelect = 0x14;
inline constexpr uint8_t kLineGraphics = 0x04, kBlink = 0x08, kPanningSplit = 0x20,
                         kPaletteSplit = 0x80;  // kMode
inline constexpr uint8_t kPaletteOn = 0x20;     // of the index: the screen is shown
}  // namespace attribute

inline constexpr uint8_t kMiscColour = 0x01, kMiscRam = 0x02;  // miscellaneous output

namespace vbe {
inline constexpr unsigned kId = 0, kWidth = 1, kHeight = 2, kBits = 3, kEnable = 4, kBank = 5,
                          kVirtualWidth = 6, kVirtualHeight = 7, kXOffset = 8, kYOffset = 9, kMemory64K = 10,
                          kRegisters = 11;
inline constexpr uint16_t kEnabled = 0x01, kGetLimits = 0x02, k8BitDac = 0x20, kLinear = 0x40,
                          kKeepMemory = 0x80;
inline constexpr uint16_t kOldestId = 0xb0c0, kNewestId = 0xb0c5;
inline constexpr uint16_t kMaxWidth = 16000, kMaxHeight = 12000, kMaxBits = 32;
}  // namespace vbe

struct Registers {
  uint8_t miscellaneous;
  uint8_t feature;
  uint8_t enable;  ///< port 0x3c3
  uint8_t sequencer_index;
  std::array<uint8_t, 8> sequencer;
  uint8_t crtc_index;
  std::array<uint8_t, 0x19> crtc;
  uint8_t graphics_index;
  std::array<uint8_t, 9> graphics;
  uint8_t attribute_index;
  bool attribute_data;  ///< the next write to 0x3c0 is data
  std::array<uint8_t, 0x15> attribute;

  uint8_t dac_mask;
  uint8_t dac_index;
  uint8_t dac_component;  ///< 0 red, 1 green, 2 blue
  bool dac_reading;
  std::array<uint8_t, 3> dac_written;  ///< takes effect with blue
  std::array<uint8_t, 768> palette;

  std::array<uint8_t, 4> latches;

  uint16_t vbe_index;
  std::array<uint16_t, vbe::kRegisters> vbe;

  [[nodiscard]] bool vbe_enabled() const { return (vbe[vbe::kEnable] & vbe::kEnabled) != 0; }
  bool operator==(const Registers&) const = default;
};

/// The power-on state: everything zero, but what software counts on.
[[nodiscard]] Registers power_on_registers();

/// For save and load: every field, in one list.
template <typename Self, typename Stream>
void registers_fields(Self& r, Stream& s) {
  s(r.miscellaneous, r.feature, r.enable, r.sequencer_index, r.sequencer, r.crtc_index, r.crtc,
    r.graphics_index, r.graphics, r.attribute_index, r.attribute_data, r.attribute, r.dac_mask, r.dac_index,
    r.dac_component, r.dac_reading, r.dac_written, r.palette, r.latches, r.vbe_index, r.vbe);
}
/// What no sequence of port accesses leads to is bent into what one does.
void sanitize(Registers& registers, uint32_t memory_bytes);

}  // namespace eidolon::device::display
