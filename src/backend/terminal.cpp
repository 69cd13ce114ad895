#include "backend/terminal.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>

#include "base/assert.h"

namespace eidolon::backend {

namespace {

// What the crash handler needs. A signal handler has no other way to its data than a global.
// SAFETY: `fd` and `original` are written only while `active` is false, and the handler reads them only while
// it is true, so it never sees half of them.
struct CrashState {
  std::atomic<bool> active{false};
  std::atomic<bool> raw{false};
  std::atomic<bool> own_screen{false};  ///< and the terminal shows it
  int fd = -1;
  termios original{};
};
CrashState crash_state;  // NOLINT: see above

constexpr size_t kMostKept = 64 << 10;

constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS};
std::array<struct sigaction, kCrashSignals.size()> previous_actions;  // NOLINT: written before the handler is

// xterm's ctlseqs: the alternate screen, cleared; colours and cursor as they were.
constexpr std::string_view kEnterOwnScreen = "\x1b[?1049h\x1b[0m\x1b[H\x1b[2J";
constexpr std::string_view kLeaveOwnScreen = "\x1b[0m\x1b[?25h\x1b[?1049l";

void leave_own_screen() {
  [[maybe_unused]] const ssize_t written =
      write(STDOUT_FILENO, kLeaveOwnScreen.data(), kLeaveOwnScreen.size());
}

/// What say() keeps while the screen is the guest's.
std::mutex kept_mutex;   // NOLINT: like crash_state
std::string kept_lines;  // NOLINT

void give_back() {
  if (!crash_state.active.load(std::memory_order_acquire)) return;
  if (crash_state.own_screen.load()) leave_own_screen();
  tcsetattr(crash_state.fd, TCSANOW, &crash_state.original);
}

// SAFETY: calls only async-signal-safe functions. Engines that take host faults install their handlers after
// this one and pass on what is not theirs, so that whatever arrives here is a crash.
void on_crash(int signal, siginfo_t* info, void* /*context*/) {
  give_back();
  for (size_t i = 0; i < kCrashSignals.size(); ++i) {
    if (kCrashSignals[i] == signal) sigaction(signal, &previous_actions[i], nullptr);
  }
  // A fault of the processor happens again under the previous action once this returns; a signal that
  // somebody sent has to be sent again.
  if (info->si_code <= 0) raise(signal);
}

void install_crash_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kCrashSignals.size(); ++i) {
    struct sigaction present {};
    sigaction(kCrashSignals[i], nullptr, &present);
    const bool ours = (present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction == on_crash;
    const bool ignored = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == SIG_IGN;
    if (ours || ignored) continue;
    previous_actions[i] = present;
    sigaction(kCrashSignals[i], &action, nullptr);
  }
}

bool in_foreground(int fd) {
  const pid_t owner = tcgetpgrp(fd);
  return owner < 0 || owner == getpgrp();
}

}  // namespace

Terminal::Terminal(int fd, Screen screen)
    : fd_(fd), screen_(screen), is_terminal_(isatty(fd) == 1 && tcgetattr(fd, &original_) == 0) {
  if (!is_terminal_) return;
  EIDOLON_ASSERT(!crash_state.active.load());
  crash_state.fd = fd;
  crash_state.original = original_;
  crash_state.active.store(true, std::memory_order_release);
  install_crash_handler();
}

Terminal::~Terminal() {
  if (!is_terminal_) return;
  restore();
  // The handlers stay: an engine may have chained to them, and without an active terminal they only pass on.
  crash_state.active.store(false, std::memory_order_release);
}

void Terminal::enter_raw() {
  if (!is_terminal_ || !in_foreground(fd_)) return;
  termios settings = original_;
  cfmakeraw(&settings);
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  raw_ = tcsetattr(fd_, TCSADRAIN, &settings) == 0;
  crash_state.raw.store(raw_);
  if (!raw_ || screen_ != Screen::kOwn || crash_state.own_screen.exchange(true)) return;
  [[maybe_unused]] const ssize_t written =
      write(STDOUT_FILENO, kEnterOwnScreen.data(), kEnterOwnScreen.size());
}

void Terminal::restore() {
  if (!raw_) return;
  if (crash_state.own_screen.exchange(false)) leave_own_screen();
  tcsetattr(fd_, TCSADRAIN, &original_);
  raw_ = false;
  crash_state.raw.store(false);
  std::lock_guard lock(kept_mutex);
  std::fwrite(kept_lines.data(), 1, kept_lines.size(), stderr);
  kept_lines.clear();
}

void say(std::string_view line) {
  if (crash_state.own_screen.load()) {
    std::lock_guard lock(kept_mutex);
    if (kept_lines.size() < kMostKept) kept_lines += fmt::format("{}\n", line);
    return;
  }
  const std::string text = fmt::format("{}{}", line, crash_state.raw.load() ? "\r\n" : "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void leave_at_once(std::string_view line, int status) {
  give_back();
  {
    std::lock_guard lock(kept_mutex);
    std::fwrite(kept_lines.data(), 1, kept_lines.size(), stderr);
  }
  const std::string text = fmt::format("{}\n", line);
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  _exit(status);
}

void say_lines(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    say(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
}

}  // namespace eidolon::backend
