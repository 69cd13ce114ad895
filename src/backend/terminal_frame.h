// A text picture on a terminal: the shortest control sequences that turn what it shows into what it is to
// show (ECMA-48: CUP, SGR; DECTCEM for the cursor). Pure, so that it can be tested without a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/display/text_picture.h"

namespace eidolon::backend {

class TerminalFrame {
 public:
  /// What to write to a terminal of that size. Of a larger picture the left part is seen, and those rows
  /// where the cursor is.
  std::string update(const device::display::TextPicture& picture, uint32_t columns, uint32_t lines);
  /// The terminal shows something else now: the next update draws everything.
  void forget() { known_ = false; }

 private:
  void draw_row(std::string& to, uint32_t row, const device::display::TextCell* cells);

  bool known_ = false;
  uint32_t columns_ = 0, lines_ = 0;  ///< that are drawn on
  std::vector<device::display::TextCell> shown_;
};

/// A picture that only says something, in the middle.
[[nodiscard]] device::display::TextPicture text_page(std::string_view text);

}  // namespace eidolon::backend
