// The user's terminal in raw mode, so that every key reaches the guest, and always given back as it was: by
// the destructor, before a stop by job control, and by a handler if the monitor itself crashes.
// termios(3), "Raw mode".
#pragma once

#include <termios.h>

#include <cstdint>
#include <string_view>

namespace eidolon::backend {

/// Whose the screen is while the terminal is in raw mode.
enum class Screen : uint8_t {
  kShared,  ///< what is written stands below what was there
  kOwn,     ///< the terminal's other screen, to draw on; afterwards the first one is there as it was
};

/// At most one exists at a time. Does nothing where `fd` is no terminal.
class Terminal {
 public:
  /// Remembers the terminal's settings; `fd` stays the caller's.
  explicit Terminal(int fd, Screen screen = Screen::kShared);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] bool is_terminal() const { return is_terminal_; }
  [[nodiscard]] bool raw() const { return raw_; }

  /// Raw mode, unless another process group has the terminal (the shell resumed us in the background): its
  /// settings are not ours to change then. Call again when SIGCONT says that this may have changed.
  void enter_raw();
  /// Back to the settings found at the start.
  void restore();

 private:
  int fd_;
  Screen screen_;
  termios original_{};
  bool is_terminal_;  ///< after original_, which its initializer fills
  bool raw_ = false;
};

/// Writes a line of the monitor's own to standard error, with the carriage return that raw mode needs. While
/// a terminal has its own screen, lines wait until it is given back.
void say(std::string_view line);
/// Gives the terminal back, says the line, and ends the process where it is. From any thread, when no other
/// one can be waited for.
[[noreturn]] void leave_at_once(std::string_view line, int status);
/// Each line of a text.
void say_lines(std::string_view text);

}  // namespace eidolon::backend
