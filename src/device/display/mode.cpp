#include "device/display/mode.h"

#include "device/display/vbe.h"

namespace eidolon::device::display {

namespace {

/// Without a picture there is still a screen, black, as large as a text screen.
constexpr uint32_t kBlankWidth = 720, kBlankHeight = 400;

Mode blank() { return {.kind = ModeKind::kBlank, .width = kBlankWidth, .height = kBlankHeight}; }

Mode vbe_mode(const Registers& r, uint32_t memory_bytes) {
  const auto& v = r.vbe;
  Mode mode{.width = v[vbe::kWidth], .height = v[vbe::kHeight]};
  const uint32_t pitch = vbe_pitch(r);
  if (v[vbe::kBits] == 4) {
    mode.kind = ModeKind::kPlanar;
    mode.columns = mode.width / 8;
    mode.pitch = pitch / 4;
    mode.start = v[vbe::kYOffset] * mode.pitch + v[vbe::kXOffset] / 8u;
    mode.panning = v[vbe::kXOffset] % 8;
    mode.counter_mask = memory_bytes / 4 - 1;
    return mode;
  }
  mode.kind = ModeKind::kPacked;
  mode.bits = v[vbe::kBits];
  mode.pitch_bytes = pitch;
  mode.start_byte = v[vbe::kYOffset] * pitch + v[vbe::kXOffset] * ((mode.bits + 7u) / 8u);
  return mode;
}

ModeKind legacy_kind(const Registers& r) {
  if ((r.graphics[graphics::kMiscellaneous] & graphics::kGraphicsMode) == 0) return ModeKind::kText;
  const uint8_t shift = r.graphics[graphics::kMode];
  if ((shift & graphics::k256Colours) != 0) return ModeKind::kBytes;
  return (shift & graphics::kInterleave) != 0 ? ModeKind::kInterleaved : ModeKind::kPlanar;
}

uint32_t panning_of(const Registers& r, const Mode& mode) {
  const uint32_t value = r.attribute[attribute::kPanning];
  if (mode.kind == ModeKind::kBytes) return value / 2 % 4;
  if (mode.dots == 9) return value >= 8 ? 0 : value + 1;
  return value % 8;
}

Mode legacy_mode(const Registers& r) {
  const auto& c = r.crtc;
  const uint8_t clocking = r.sequencer[sequencer::kClocking], overflow = c[crtc::kOverflow];
  Mode mode{.kind = legacy_kind(r)};
  mode.columns = c[crtc::kHorizontalEnd] + 1u;
  if (mode.kind == ModeKind::kText && (clocking & sequencer::k8Dots) == 0) mode.dots = 9;
  if ((clocking & sequencer::kHalfClock) != 0) mode.repeat = 2;
  mode.width = mode.columns * mode.dots * mode.repeat;
  mode.height = (c[crtc::kVerticalEnd] | (overflow & 0x02u) << 7 | (overflow & 0x40u) << 3) + 1;
  mode.rows = (c[crtc::kMaximumRow] & 0x1fu) + 1;
  mode.double_scan = (c[crtc::kMaximumRow] & crtc::kDoubleScan) != 0;
  mode.start = (c[crtc::kStartHigh] << 8u | c[crtc::kStartLow]) + (c[crtc::kPresetRow] >> 5 & 3u);
  mode.pitch = c[crtc::kOffset] * 2u;
  mode.first_row = c[crtc::kPresetRow] & 0x1fu;
  mode.panning = panning_of(r, mode);
  mode.split = c[crtc::kLineCompare] | (overflow & 0x10u) << 4 | (c[crtc::kMaximumRow] & 0x40u) << 3;
  mode.split_resets_panning = (r.attribute[attribute::kMode] & attribute::kPanningSplit) != 0;
  return mode;
}

}  // namespace

Mode mode_of(const Registers& r, uint32_t memory_bytes) {
  if ((r.attribute_index & attribute::kPaletteOn) == 0) return blank();
  if (r.vbe_enabled()) return vbe_mode(r, memory_bytes);
  if ((r.sequencer[sequencer::kClocking] & sequencer::kScreenOff) != 0) return blank();
  return legacy_mode(r);
}

uint32_t fetch_index(const Registers& r, const Mode& mode, uint32_t count, uint32_t row) {
  if (r.vbe_enabled()) return count & mode.counter_mask;
  const uint8_t control = r.crtc[crtc::kModeControl];
  // Doubleword addressing goes with chain-4, whose window is kept linear (window.h): nothing is left to do.
  if ((r.crtc[crtc::kUnderline] & crtc::kDoubleWord) != 0) return count & mode.counter_mask;
  uint32_t index = count;
  if ((control & crtc::kByteMode) == 0)
    index = count << 1 | (count >> ((control & crtc::kWrapA15) != 0 ? 15 : 13) & 1);
  if ((control & crtc::kNoRow0) == 0) index = (index & ~(1u << 13)) | (row & 1) << 13;
  if ((control & crtc::kNoRow1) == 0) index = (index & ~(1u << 14)) | (row >> 1 & 1) << 14;
  return index & mode.counter_mask;
}

uint32_t dac_colour(const Registers& r, uint8_t index) {
  const unsigned at = (index & r.dac_mask) * 3u;
  const bool wide = (r.vbe[vbe::kEnable] & vbe::k8BitDac) != 0;
  uint32_t colour = 0;
  for (unsigned i = 0; i < 3; ++i) {
    const unsigned value = r.palette[at + i];
    const unsigned eight = wide ? value : (value << 2 | (value >> 4 & 3)) & 0xff;
    colour = colour << 8 | eight;
  }
  return colour;
}

uint32_t attribute_colour(const Registers& r, uint8_t colour) {
  const unsigned select = r.attribute[attribute::kColourSelect];
  unsigned index = r.attribute[colour & r.attribute[attribute::kPlaneEnable] & 0x0f];
  if ((r.attribute[attribute::kMode] & attribute::kPaletteSplit) != 0)
    index = (index & 0x0f) | (select & 3) << 4;
  return dac_colour(r, static_cast<uint8_t>((index & 0x3f) | (select & 0x0c) << 4));
}

}  // namespace eidolon::device::display
