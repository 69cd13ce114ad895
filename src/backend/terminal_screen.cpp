#include "backend/terminal_screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace eidolon::backend {

namespace {

using device::display::ModeKind;
using device::display::TextPicture;

constexpr auto kFrameTime = std::chrono::milliseconds(40);
/// A terminal that takes nothing for so long is given up for this frame.
constexpr int kStallMilliseconds = 200;
/// What a terminal that says that it is ready takes without making us wait.
constexpr size_t kChunk = 256;

winsize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {.ws_row = 25, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  return size;
}

TextPicture picture_of(const device::display::Capture& capture) {
  if (auto picture = text_picture(capture)) return *std::move(picture);
  if (capture.mode.kind == ModeKind::kBlank) return text_page("");
  return text_page(
      fmt::format("The guest shows graphics, {}x{}.\n\n"
                  "A terminal cannot; eidolon screenshot FILE.png or --display vnc can.\n"
                  "Ctrl-A h helps.",
                  capture.mode.width, capture.mode.height));
}

}  // namespace

Result<std::unique_ptr<TerminalScreen>> TerminalScreen::create() {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
    return fail(
        "--display terminal needs a terminal as standard input and output; start it there, or take --display "
        "vnc");
  return std::unique_ptr<TerminalScreen>(new TerminalScreen);
}

TerminalScreen::TerminalScreen() : thread_([this] { run(); }) {}

TerminalScreen::~TerminalScreen() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TerminalScreen::show(const device::display::Vga* vga, device::input::Input* input) {
  std::lock_guard lock(mutex_);
  vga_ = vga;
  input_ = input;
}

void TerminalScreen::set_active(bool active) {
  std::lock_guard lock(mutex_);
  active_ = active;
  forget();
  changed_.notify_all();
}

void TerminalScreen::forget() {
  frame_.forget();
  last_.clear();
}

void TerminalScreen::notice(std::string_view text) {
  std::lock_guard lock(mutex_);
  notice_ = text;
}

void TerminalScreen::type(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  notice_.clear();
  for (const device::input::KeyEvent& event : keys_.feed(bytes))
    if (input_ != nullptr) input_->key(event);
}

void TerminalScreen::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (active_) {
      const std::string text = next_frame();
      if (!text.empty()) write_all(text);
    }
    changed_.wait_for(lock, kFrameTime);
  }
}

/// Nothing if the terminal shows it already.
std::string TerminalScreen::next_frame() {
  const winsize size = terminal_size();
  if (size.ws_col != columns_ || size.ws_row != lines_) forget();
  columns_ = size.ws_col;
  lines_ = size.ws_row;
  const bool has_notice = !notice_.empty();
  if (!has_notice && vga_ == nullptr) return {};
  if (!has_notice) vga_->capture(capture_);
  std::string text = frame_.update(has_notice ? text_page(notice_) : picture_of(capture_), columns_, lines_);
  return std::exchange(last_, text) == text ? std::string() : text;
}

/// A terminal that has stopped must not keep the machine from ending: what it does not take is drawn anew
/// later.
void TerminalScreen::write_all(std::string_view text) {
  while (!text.empty()) {
    pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
    ssize_t written = -1;
    if (poll(&ready, 1, kStallMilliseconds) > 0 && (ready.revents & POLLOUT) != 0)
      written = write(STDOUT_FILENO, text.data(), std::min(text.size(), kChunk));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      forget();
      return;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace eidolon::backend
