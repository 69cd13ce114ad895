// `--display terminal`: the text screen drawn in the user's terminal, by a thread of its own, and the
// terminal's keys on the guest's keyboard. Raw mode and the terminal's other screen are the matter of
// Terminal.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "backend/terminal_frame.h"
#include "backend/terminal_keys.h"
#include "base/result.h"
#include "device/display/vga.h"
#include "device/input/input.h"

namespace eidolon::backend {

class TerminalScreen {
 public:
  /// Draws nothing before set_active(). Fails unless standard input and output are terminals.
  static Result<std::unique_ptr<TerminalScreen>> create();
  ~TerminalScreen();
  TerminalScreen(const TerminalScreen&) = delete;
  TerminalScreen& operator=(const TerminalScreen&) = delete;

  /// What is shown, and who gets keys; null: nothing new and nobody, from when this returns.
  void show(const device::display::Vga* vga, device::input::Input* input);
  /// Whether the terminal is ours. From when set_active(false) returns, nothing is written; set_active(true)
  /// draws everything anew.
  void set_active(bool active);
  /// Shows a text of the monitor's own until the next key.
  void notice(std::string_view text);
  /// Bytes that the terminal sent.
  void type(std::span<const uint8_t> bytes);

 private:
  TerminalScreen();
  void run();
  [[nodiscard]] std::string next_frame();
  void forget();
  void write_all(std::string_view text);

  std::mutex mutex_;  ///< of what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  bool active_ = false;
  const device::display::Vga* vga_ = nullptr;
  device::input::Input* input_ = nullptr;
  device::display::Capture capture_;
  std::string notice_;
  TerminalFrame frame_;
  std::string last_;  ///< the cursor's sequence, so that an unchanged screen writes nothing
  uint32_t columns_ = 0, lines_ = 0;
  TerminalKeys keys_;
  std::thread thread_;
};

}  // namespace eidolon::backend
