#include "backend/terminal_frame.h"

#include <gtest/gtest.h>

#include "backend/cp437.h"
#include "backend/tiny_terminal.h"

namespace eidolon::backend {
namespace {

using device::display::TextCell;
using device::display::TextPicture;

class TerminalFrameTest : public testing::Test {
 protected:
  TerminalFrameTest() { picture.cells.resize(80 * 25); }
  TextCell& cell(unsigned row, unsigned column) { return picture.cells[row * 80 + column]; }
  std::string update(unsigned columns = 80, unsigned lines = 25) {
    std::string text = frame.update(picture, columns, lines);
    terminal.feed(text);
    return text;
  }
  TextPicture picture{.columns = 80, .rows = 25, .cells = {}, .cursor = {}};
  TerminalFrame frame;
  TinyTerminal terminal{80, 25};
};

TEST_F(TerminalFrameTest, CharactersComeWithTheirColours) {
  cell(2, 3) = {.character = 'A', .foreground = 14, .background = 1};
  cell(2, 4) = {.character = 0xc9, .foreground = 4, .background = 0, .blinks = true};
  cell(2, 5) = {.character = 0xe1, .foreground = 0, .background = 12};
  update();
  EXPECT_EQ(terminal.row(2), "   A╔ß");
  EXPECT_EQ(terminal.colours(2, 3), "0;93;44") << "yellow on blue";
  EXPECT_EQ(terminal.colours(2, 4), "0;31;40;5");
  EXPECT_EQ(terminal.colours(2, 5), "0;30;101");
  EXPECT_EQ(terminal.colours(0, 0), "0;37;40");
  EXPECT_FALSE(terminal.cursor_on);
}

TEST_F(TerminalFrameTest, OnlyWhatHasChangedIsDrawn) {
  picture.cursor = {0, 0};
  update();
  cell(24, 79).character = 'z';
  EXPECT_EQ(update(), "\x1b[25;80H\x1b[0;37;40mz\x1b[1;1H\x1b[?25h");
  EXPECT_EQ(update(), "\x1b[1;1H\x1b[?25h");
  frame.forget();
  EXPECT_GT(update().size(), 2000u);
  EXPECT_EQ(terminal.row(24).back(), 'z');
}

TEST_F(TerminalFrameTest, ASmallTerminalShowsTheRowsAtTheCursor) {
  cell(0, 0).character = 'a';
  cell(24, 0).character = 'b';
  cell(24, 50).character = 'c';
  picture.cursor = {1, 24};
  terminal = TinyTerminal(40, 10);
  update(40, 10);
  EXPECT_EQ(terminal.row(9), "b");
  EXPECT_EQ(terminal.cursor_row, 9u);
  EXPECT_EQ(terminal.cursor_column, 1u);
  picture.cursor = {0, 0};
  update(40, 10);
  EXPECT_EQ(terminal.row(0), "a");
  EXPECT_EQ(terminal.row(9), "");
}

TEST_F(TerminalFrameTest, APictureOfAnotherSizeIsDrawnAnew) {
  cell(0, 79).character = 'x';
  update();
  picture = {.columns = 40, .rows = 25, .cells = std::vector<TextCell>(40 * 25), .cursor = {}};
  update();
  EXPECT_EQ(terminal.row(0), "");
}

TEST(Cp437, HasACharacterForEachByteAndNoControls) {
  std::string all;
  for (unsigned i = 0; i < 256; ++i) append_cp437(all, static_cast<uint8_t>(i));
  EXPECT_TRUE(std::ranges::none_of(all, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }));
  std::string some;
  for (const int i : {0x01, 0x7f, 0x80, 0xb0, 0xdb, 0xfe}) append_cp437(some, static_cast<uint8_t>(i));
  EXPECT_EQ(some, "☺⌂Ç░█■");
}

TEST(TextPage, IsInTheMiddle) {
  const TextPicture page = text_page("one\nthree");
  EXPECT_EQ(page.cells[11 * 80 + 37].character, 'o');
  EXPECT_EQ(page.cells[12 * 80 + 37].character, 't');
  EXPECT_FALSE(page.cursor);
  EXPECT_EQ(text_page(std::string(500, 'x') + std::string(100, '\n')).cells.size(), 2000u);
}

}  // namespace
}  // namespace eidolon::backend
