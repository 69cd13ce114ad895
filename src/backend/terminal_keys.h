// What a terminal sends for keys, as the keys of a US keyboard: plain characters, control characters, ESC
// before a character for Alt, and the sequences of xterm and of Linux' console for all other keys
// (ECMA-48, 8.3; xterm's ctlseqs, "PC-Style Function Keys").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/input/events.h"

namespace eidolon::backend {

class TerminalKeys {
 public:
  /// The presses and releases that the bytes stand for. A sequence may go on in the next call; an ESC at the
  /// end of the bytes is the key itself. What no key stands for is dropped.
  std::vector<device::input::KeyEvent> feed(std::span<const uint8_t> bytes);

 private:
  [[nodiscard]] bool take(std::vector<device::input::KeyEvent>& events);

  std::string waiting_;  ///< not understood yet: the beginning of a sequence
};

}  // namespace eidolon::backend
