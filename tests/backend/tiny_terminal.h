// As much of a terminal as the monitor draws on: a grid of characters, places, colours and a cursor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace eidolon::backend {

class TinyTerminal {
 public:
  TinyTerminal(unsigned columns, unsigned rows) : columns_(columns), cells_(size_t{columns} * rows) {
    clear();
  }

  /// Whole sequences and fragments of them.
  void feed(std::string_view bytes) {
    waiting_ += bytes;
    while (!waiting_.empty()) {
      const size_t used = take(waiting_);
      if (used == 0) break;
      waiting_.erase(0, used);
    }
  }
  /// The characters of a row, without the blanks at its end.
  [[nodiscard]] std::string row(unsigned number) const {
    std::string text;
    for (unsigned column = 0; column < columns_; ++column) text += cells_[number * columns_ + column].text;
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  [[nodiscard]] std::string screen() const {
    std::string text;
    for (unsigned number = 0; number < cells_.size() / columns_; ++number) text += row(number) + "\n";
    return text;
  }
  /// As in "0;37;40".
  [[nodiscard]] std::string colours(unsigned row, unsigned column) const {
    return cells_[row * columns_ + column].colours;
  }

  unsigned cursor_row = 0, cursor_column = 0;
  bool cursor_on = true;
  bool own_screen = false;

 private:
  struct Cell {
    std::string text, colours;
  };
  void clear() { std::ranges::fill(cells_, Cell{" ", "0"}); }

  void sequence(std::string_view parameters, char end) {
    if (end == 'H') {
      const std::string text(parameters.empty() ? "1;1" : parameters);
      cursor_row = static_cast<unsigned>(std::stoul(text)) - 1;
      cursor_column = static_cast<unsigned>(std::stoul(text.substr(text.find(';') + 1))) - 1;
    } else if (end == 'J') {
      clear();
    } else if (end == 'm') {
      pen_ = parameters;
    } else if (parameters == "?25") {
      cursor_on = end == 'h';
    } else if (parameters == "?1049") {
      own_screen = end == 'h';
    }
  }
  size_t take(std::string_view bytes) {
    if (bytes.front() == '\x1b') {
      const size_t end = bytes.find_first_of("HJmhl", 2);
      if (end == bytes.npos) return 0;
      sequence(bytes.substr(2, end - 2), bytes[end]);
      return end + 1;
    }
    const auto first = static_cast<uint8_t>(bytes.front());
    const size_t length = first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    if (bytes.size() < length) return 0;
    const size_t at = cursor_row * columns_ + cursor_column;
    if (first >= 0x20 && at < cells_.size()) {
      cells_[at] = {std::string(bytes.substr(0, length)), pen_};
      ++cursor_column;
    }
    return length;
  }

  unsigned columns_;
  std::vector<Cell> cells_;
  std::string pen_ = "0";
  std::string waiting_;
};

}  // namespace eidolon::backend
