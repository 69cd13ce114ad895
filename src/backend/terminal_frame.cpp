#include "backend/terminal_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "backend/cp437.h"

namespace eidolon::backend {

namespace {

using device::display::TextCell;
using device::display::TextPicture;

/// A PC counts blue, green, red; terminals count red, green, blue.
unsigned ansi_colour(unsigned colour) {
  constexpr std::array<uint8_t, 8> kOrder = {0, 4, 2, 6, 1, 5, 3, 7};
  return kOrder[colour & 7];
}

void append_colours(std::string& to, const TextCell& cell) {
  fmt::format_to(std::back_inserter(to), "\x1b[0;{};{}{}m",
                 (cell.foreground >= 8 ? 90 : 30) + ansi_colour(cell.foreground),
                 (cell.background >= 8 ? 100 : 40) + ansi_colour(cell.background), cell.blinks ? ";5" : "");
}

bool same_colours(const TextCell& a, const TextCell& b) {
  return a.foreground == b.foreground && a.background == b.background && a.blinks == b.blinks;
}

void append_place(std::string& to, uint32_t row, uint32_t column) {
  fmt::format_to(std::back_inserter(to), "\x1b[{};{}H", row + 1, column + 1);
}

}  // namespace

/// The cells of a row that are not shown yet.
void TerminalFrame::draw_row(std::string& to, uint32_t row, const TextCell* cells) {
  TextCell* shown = shown_.data() + size_t{row} * columns_;
  const TextCell* pen = nullptr;
  uint32_t at = columns_;  // the column of the terminal's own cursor, if it is in this row
  for (uint32_t column = 0; column < columns_; ++column) {
    if (known_ && shown[column] == cells[column]) continue;
    if (at != column || column == 0) append_place(to, row, column);
    if (pen == nullptr || !same_colours(*pen, cells[column])) append_colours(to, cells[column]);
    append_cp437(to, cells[column].character);
    pen = &cells[column];
    at = column + 1;
    shown[column] = cells[column];
  }
}

std::string TerminalFrame::update(const TextPicture& picture, uint32_t columns, uint32_t lines) {
  const uint32_t width = std::min(picture.columns, columns), height = std::min(picture.rows, lines);
  const uint32_t cursor_row = picture.cursor ? picture.cursor->row : 0;
  const uint32_t first = cursor_row >= height ? cursor_row - height + 1 : 0;
  std::string text;
  if (width != columns_ || height != lines_ || !known_) {
    known_ = false;
    columns_ = width;
    lines_ = height;
    shown_.assign(size_t{width} * height, {});
    text += "\x1b[0m\x1b[2J";
  }
  for (uint32_t row = 0; row < height; ++row)
    draw_row(text, row, picture.cells.data() + size_t{row + first} * picture.columns);
  known_ = true;

  // The cursor last: drawing moves it.
  if (picture.cursor && picture.cursor->column < width) {
    append_place(text, cursor_row - first, picture.cursor->column);
    text += "\x1b[?25h";
  } else {
    text += "\x1b[?25l";
  }
  return text;
}

TextPicture text_page(std::string_view text) {
  constexpr uint32_t kColumns = 80, kRows = 25;
  TextPicture page{.columns = kColumns, .rows = kRows, .cells = {}, .cursor = {}};
  page.cells.resize(size_t{kColumns} * kRows);
  const auto height = static_cast<uint32_t>(std::ranges::count(text, '\n')) + 1;
  size_t width = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    width = std::max(width, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const size_t left = width < kColumns ? (kColumns - width) / 2 : 0;
  uint32_t row = height < kRows ? (kRows - height) / 2 : 0;
  for (; !text.empty() && row < kRows; ++row) {
    const std::string_view line = text.substr(0, text.find('\n')).substr(0, kColumns);
    for (size_t i = 0; i < std::min<size_t>(line.size(), kColumns - left); ++i)
      page.cells[row * kColumns + left + i].character = static_cast<uint8_t>(line[i]);
    const size_t end = text.find('\n');
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return page;
}

}  // namespace eidolon::backend
