#include "device/display/edid.h"

#include <algorithm>
#include <string_view>

namespace eidolon::device::display {

namespace {

using Edid = std::array<uint8_t, kEdidBytes>;
using Descriptor = std::array<uint8_t, 18>;

// Where the parts of the block begin.
constexpr unsigned kVendor = 8, kVersion = 18, kBasics = 20, kColours = 25, kEstablished = 35, kStandard = 38,
                   kDescriptors = 54, kChecksum = 127;
constexpr unsigned kWidthMm = 340, kHeightMm = 212;  // a laptop's screen: 96 dots an inch

/// Three letters of five bits (3.4.1).
constexpr uint16_t vendor(std::string_view name) {
  return static_cast<uint16_t>((name[0] & 0x1f) << 10 | (name[1] & 0x1f) << 5 | (name[2] & 0x1f));
}

/// At 60 Hz; the ratio's code is 0 for 16:10, 1 for 4:3, 2 for 5:4 and 3 for 16:9 (3.9).
struct Standard {
  uint16_t width;
  uint8_t ratio;
};
constexpr Standard kStandards[] = {{1920, 3}, {1920, 0}, {1680, 0}, {1600, 1},
                                   {1440, 0}, {1280, 2}, {1280, 1}, {1280, 3}};

constexpr uint8_t low(unsigned value) { return static_cast<uint8_t>(value & 0xff); }
constexpr uint8_t high_nibbles(unsigned upper, unsigned lower) {
  return static_cast<uint8_t>((upper >> 8 & 0xf) << 4 | (lower >> 8 & 0xf));
}

constexpr Descriptor timing(const DetailedTiming& t) {
  constexpr uint8_t kDigitalSeparateSync = 0x18, kVerticalPositive = 0x04;
  const unsigned clock = t.clock_hz / 10'000;
  return {low(clock),
          low(clock >> 8),
          low(t.width),
          low(t.blank_width),
          high_nibbles(t.width, t.blank_width),
          low(t.height),
          low(t.blank_height),
          high_nibbles(t.height, t.blank_height),
          low(t.sync_start_x),
          low(t.sync_width),
          static_cast<uint8_t>((t.sync_start_y & 0xf) << 4 | (t.sync_height & 0xf)),
          static_cast<uint8_t>((t.sync_start_x >> 8 & 3) << 6 | (t.sync_width >> 8 & 3) << 4 |
                               (t.sync_start_y >> 4 & 3) << 2 | (t.sync_height >> 4 & 3)),
          low(kWidthMm),
          low(kHeightMm),
          high_nibbles(kWidthMm, kHeightMm),
          0,
          0,
          kDigitalSeparateSync | kVerticalPositive};
}

/// Text ends with a line feed and is filled with spaces (3.10.3).
constexpr Descriptor text(uint8_t kind, std::string_view words) {
  Descriptor result{0, 0, 0, kind, 0};
  std::fill(result.begin() + 5, result.end(), uint8_t{' '});
  const auto end = std::copy(words.begin(), words.end(), result.begin() + 5);
  if (end != result.end()) *end = '\n';
  return result;
}

/// 50 to 125 Hz, 30 to 160 kHz, up to 600 MHz; any timing within (3.10.3.3).
constexpr Descriptor limits() {
  return {0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 60, 0x01, '\n', ' ', ' ', ' ', ' ', ' ', ' '};
}

constexpr Edid make() {
  Edid edid{0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
  const auto put = [&edid](unsigned at, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) edid[at++] = static_cast<uint8_t>(byte);
  };
  const uint16_t letters = vendor("EDL");
  put(kVendor, {letters >> 8u, letters & 0xffu, 1, 0, 0, 0, 0, 0, 0, 2022 - 1990});
  put(kVersion, {1, 4});
  // Digital with 8 bits a colour; its size in centimetres; gamma 2.2; sRGB, and the first timing is the
  // native.
  put(kBasics, {0xa5, kWidthMm / 10, kHeightMm / 10, 120, 0x06});
  put(kColours, {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54});  // those of sRGB
  put(kEstablished, {0x21, 0x08, 0x00});                                        // 640, 800 and 1024 at 60 Hz
  unsigned at = kStandard;
  for (const Standard& mode : kStandards) {
    put(at, {mode.width / 8u - 31, static_cast<unsigned>(mode.ratio << 6)});
    at += 2;
  }
  at = kDescriptors;
  for (const Descriptor& descriptor :
       {timing(kPreferredTiming), limits(), text(0xfc, "Eidolon"), text(0xff, "1")}) {
    std::copy(descriptor.begin(), descriptor.end(), edid.begin() + at);
    at += descriptor.size();
  }
  unsigned sum = 0;
  for (const uint8_t byte : edid) sum += byte;
  edid[kChecksum] = static_cast<uint8_t>(-sum);
  return edid;
}

}  // namespace

constexpr Edid kMade = make();
const std::array<uint8_t, kEdidBytes> kEdid = kMade;

}  // namespace eidolon::device::display
