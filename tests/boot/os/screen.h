// What a user at another terminal sees of a guest and does to it: pictures and keys by the control socket.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace eidolon::boot_test {

/// Runs `eidolon` with arguments as a shell takes them; its status.
int ask(const std::string& arguments);

/// The text on a picture in a PNG file, its cells looked up in the font: rows that end in a newline, and '?'
/// where no glyph fits. Cells have 9 by 16 pixels on a screen of 720 by 400 (VGA's text mode), else 8 by 16.
std::string read_text(const std::string& path);

/// Tests whose machines are found below a directory of their own. The machine looked at is called "screen".
class ScreenTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// Takes pictures until `text` is on one of them; `last` is what the last one said.
  bool shows(const std::string& text, std::chrono::seconds limit);

  std::string directory;
  std::string last;
};

}  // namespace eidolon::boot_test
