#include "device/display/ports.h"

#include <algorithm>

namespace eidolon::device::display {

namespace {

constexpr uint8_t kNothing = 0xff;

// Which bits of the indexed registers exist.
constexpr std::array<uint8_t, 8> kSequencerBits = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0x00};
constexpr std::array<uint8_t, 9> kGraphicsBits = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};

uint8_t attribute_bits(unsigned index) {
  switch (index) {
    case attribute::kMode:
      return 0xef;
    case attribute::kOverscan:
      return 0xff;
    case attribute::kPanning:
    case attribute::kColourSelect:
      return 0x0f;
    default:
      return 0x3f;
  }
}

void write_crtc(Registers& r, uint8_t value) {
  if (r.crtc_index >= r.crtc.size()) return;
  if ((r.crtc[crtc::kRetraceEnd] & crtc::kProtect) != 0 && r.crtc_index <= crtc::kOverflow) {
    constexpr uint8_t kLineCompareBit = 0x10;  // the one bit of these that is never locked
    if (r.crtc_index != crtc::kOverflow) return;
    value = static_cast<uint8_t>((r.crtc[crtc::kOverflow] & ~kLineCompareBit) | (value & kLineCompareBit));
  }
  r.crtc[r.crtc_index] = value;
}

void write_attribute(Registers& r, uint8_t value) {
  if (!r.attribute_data) {
    r.attribute_index = value & 0x3f;
  } else {
    const unsigned index = r.attribute_index & 0x1f;
    if (index < r.attribute.size()) r.attribute[index] = value & attribute_bits(index);
  }
  r.attribute_data = !r.attribute_data;
}

uint8_t dac_bits(const Registers& r) { return (r.vbe[vbe::kEnable] & vbe::k8BitDac) != 0 ? 0xff : 0x3f; }

void next_component(Registers& r) {
  if (++r.dac_component < 3) return;
  r.dac_component = 0;
  ++r.dac_index;
}

void write_palette(Registers& r, uint8_t value) {
  r.dac_written[r.dac_component] = value & dac_bits(r);
  if (r.dac_component == 2) std::ranges::copy(r.dac_written, r.palette.begin() + r.dac_index * 3);
  next_component(r);
}

uint8_t read_palette(Registers& r) {
  const uint8_t value = r.palette[r.dac_index * 3u + r.dac_component];
  next_component(r);
  return value;
}

void set_dac_index(Registers& r, uint8_t index, bool reading) {
  r.dac_index = index;
  r.dac_component = 0;
  r.dac_reading = reading;
}

/// The CRTC, input status 1 and feature control sit at 0x3b? or 0x3d?; whoever asks at the other place gets
/// nothing.
bool elsewhere(const Registers& r, unsigned port) {
  const bool colour = (r.miscellaneous & kMiscColour) != 0;
  return (port < 0x3c0 && colour) || (port >= 0x3d0 && !colour);
}

}  // namespace

Beam beam_at(const Registers& r, int64_t nanoseconds) {
  const bool fast = (r.miscellaneous & 0x0c) == 0x04;
  const int64_t hz = fast ? 28'322'000 : 25'175'000;
  const int64_t dots = ((r.sequencer[sequencer::kClocking] & sequencer::k8Dots) != 0 ? 8 : 9) *
                       ((r.sequencer[sequencer::kClocking] & sequencer::kHalfClock) != 0 ? 2 : 1);
  const uint8_t overflow = r.crtc[crtc::kOverflow];
  const int64_t columns = r.crtc[crtc::kHorizontalTotal] + 5;
  const int64_t lines = (r.crtc[crtc::kVerticalTotal] | (overflow & 0x01) << 8 | (overflow & 0x20) << 4) + 2;
  const int64_t shown = (r.crtc[crtc::kVerticalEnd] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
  const int64_t retrace = r.crtc[crtc::kRetraceStart] | (overflow & 0x04) << 6 | (overflow & 0x80) << 2;
  const int64_t retrace_lines = ((r.crtc[crtc::kRetraceEnd] - retrace) & 0x0f) + 1;

  const int64_t total = columns * dots * lines;
  // The clock wraps harmlessly: only its place within a frame counts.
  const auto clock = static_cast<int64_t>(static_cast<__int128>(nanoseconds) * hz / 1'000'000'000 % total);
  const int64_t line = clock / (columns * dots);
  const int64_t column = clock % (columns * dots) / dots;
  return {.displaying = line < shown && column <= r.crtc[crtc::kHorizontalEnd],
          .vertical_retrace = line >= retrace && line < retrace + retrace_lines};
}

uint8_t read_port(Registers& r, unsigned port, int64_t nanoseconds) {
  if (elsewhere(r, port)) return kNothing;
  switch (port) {
    case 0x3c0:
      return r.attribute_data ? uint8_t{0} : r.attribute_index;
    case 0x3c1: {
      const unsigned index = r.attribute_index & 0x1f;
      return index < r.attribute.size() ? r.attribute[index] : uint8_t{0};
    }
    case 0x3c2:
      return 0x10;  // a colour monitor answers
    case 0x3c3:
      return r.enable;
    case 0x3c4:
      return r.sequencer_index;
    case 0x3c5:
      return r.sequencer[r.sequencer_index];
    case 0x3c6:
      return r.dac_mask;
    case 0x3c7:
      return r.dac_reading ? 3 : 0;
    case 0x3c8:
      return r.dac_index;
    case 0x3c9:
      return read_palette(r);
    case 0x3ca:
      return r.feature;
    case 0x3cc:
      return r.miscellaneous;
    case 0x3ce:
      return r.graphics_index;
    case 0x3cf:
      return r.graphics_index < r.graphics.size() ? r.graphics[r.graphics_index] : uint8_t{0};
    case 0x3b4:
    case 0x3d4:
      return r.crtc_index;
    case 0x3b5:
    case 0x3d5:
      return r.crtc_index < r.crtc.size() ? r.crtc[r.crtc_index] : uint8_t{0};
    case 0x3ba:
    case 0x3da: {
      r.attribute_data = false;
      const Beam beam = beam_at(r, nanoseconds);
      return static_cast<uint8_t>((beam.displaying ? 0 : 0x01) | (beam.vertical_retrace ? 0x08 : 0));
    }
    default:
      return kNothing;
  }
}

void write_port(Registers& r, unsigned port, uint8_t value) {
  if (elsewhere(r, port)) return;
  switch (port) {
    case 0x3c0:
      write_attribute(r, value);
      break;
    case 0x3c2:
      r.miscellaneous = value & 0xef;
      break;
    case 0x3c3:
      r.enable = value & 0x01;
      break;
    case 0x3c4:
      r.sequencer_index = value & 0x07;
      break;
    case 0x3c5:
      r.sequencer[r.sequencer_index] = value & kSequencerBits[r.sequencer_index];
      break;
    case 0x3c6:
      r.dac_mask = value;
      break;
    case 0x3c7:
      set_dac_index(r, value, true);
      break;
    case 0x3c8:
      set_dac_index(r, value, false);
      break;
    case 0x3c9:
      write_palette(r, value);
      break;
    case 0x3ce:
      r.graphics_index = value & 0x0f;
      break;
    case 0x3cf:
      if (r.graphics_index < r.graphics.size())
        r.graphics[r.graphics_index] = value & kGraphicsBits[r.graphics_index];
      break;
    case 0x3b4:
    case 0x3d4:
      r.crtc_index = value & 0x3f;
      break;
    case 0x3b5:
    case 0x3d5:
      write_crtc(r, value);
      break;
    case 0x3ba:
    case 0x3da:
      r.feature = value & 0x10;
      break;
    default:
      break;
  }
}

}  // namespace eidolon::device::display
