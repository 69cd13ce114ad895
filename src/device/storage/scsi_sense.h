// Sense data: why a command has failed (SPC-4, 4.5).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace eidolon::device::storage::scsi {

/// Key, and additional sense code with its qualifier. Key 0: there is nothing to tell.
struct Sense {
  uint8_t key = 0;
  uint8_t code = 0;
  uint8_t qualifier = 0;
  [[nodiscard]] constexpr bool operator==(const Sense&) const = default;
};

// Keys.
inline constexpr uint8_t kNotReady = 2, kMediumError = 3, kIllegalRequest = 5, kUnitAttention = 6,
                         kDataProtect = 7;

inline constexpr Sense kReadError{kMediumError, 0x11, 0}, kWriteError{kMediumError, 0x0c, 0},
    kNoRoom{kDataProtect, 0x27, 7},  // space allocation failed write protect
    kWriteProtected{kDataProtect, 0x27, 0}, kUnknownOperation{kIllegalRequest, 0x20, 0},
    kBeyondTheEnd{kIllegalRequest, 0x21, 0}, kInvalidField{kIllegalRequest, 0x24, 0},
    kNoSuchUnit{kIllegalRequest, 0x25, 0}, kInvalidParameter{kIllegalRequest, 0x26, 0},
    kParametersTooShort{kIllegalRequest, 0x1a, 0}, kNoSavedValues{kIllegalRequest, 0x39, 0},
    kPowerOn{kUnitAttention, 0x29, 0}, kUnitReset{kUnitAttention, 0x29, 3};

/// The fixed format.
[[nodiscard]] inline std::vector<uint8_t> fixed_format(const Sense& sense) {
  std::vector<uint8_t> bytes(18);
  bytes[0] = 0x70;  // of this command
  bytes[2] = sense.key;
  bytes[7] = static_cast<uint8_t>(bytes.size() - 8);
  bytes[12] = sense.code;
  bytes[13] = sense.qualifier;
  return bytes;
}

/// A field of text, with blanks at its end.
inline void put_text(std::span<uint8_t> at, std::string_view text) {
  for (size_t i = 0; i < at.size(); ++i) at[i] = static_cast<uint8_t>(i < text.size() ? text[i] : ' ');
}

}  // namespace eidolon::device::storage::scsi
