// What a PS/2 keyboard sends for a key (IBM PS/2 keyboard technical reference; the 8042's translation table).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace eidolon::device {

/// A key's codes. `set2` with kExtended goes out behind 0xe0; zero: the set has no such key.
struct ScanCode {
  static constexpr uint16_t kExtended = 0x100;
  uint16_t set2 = 0;
  uint8_t set3 = 0;
};
/// `key` is a KEY_* of linux/input-event-codes.h. Print Screen and Pause are sequences of their own.
[[nodiscard]] ScanCode scan_code(uint16_t key);

/// What the 8042 makes of a keyboard's bytes with translation on, and a keyboard itself in scan code set 1:
/// set 2 in, set 1 out.
class Set1Translation {
 public:
  /// Nothing for 0xf0, which becomes a bit of the next byte.
  [[nodiscard]] std::optional<uint8_t> feed(uint8_t byte);
  void reset() { release_ = false; }

  bool release_ = false;  ///< public for save and load
};

}  // namespace eidolon::device
