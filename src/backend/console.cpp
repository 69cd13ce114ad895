#include "backend/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/try.h"

namespace eidolon::backend {

namespace {

Result<FileDescriptor> open_descriptor(const SerialTarget& target) {
  const bool to_file = target.kind == SerialTarget::Kind::kFile;
  FileDescriptor fd(
      to_file ? ::open(target.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666)
              : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (fd.valid()) return fd;
  return fail(
      "cannot write the serial output to {} ({}); name a file that can be written with --serial file:PATH",
      to_file ? fmt::format("'{}'", target.path) : "standard output", strerror(errno));
}

}  // namespace

Console::Console(SerialTarget target, Screen screen, SignalWatch signals, Wakeup wake)
    : target_(std::move(target)),
      signals_(std::move(signals)),
      wake_(std::move(wake)),
      output_(std::make_unique<NullOutput>()) {
  if (target_.kind != SerialTarget::Kind::kStdio && screen != Screen::kOwn) return;
  terminal_ = std::make_unique<Terminal>(STDIN_FILENO, screen);
  input_ = std::make_unique<Input>(STDIN_FILENO, terminal_->is_terminal());
}

Console::~Console() = default;

Result<std::unique_ptr<Console>> Console::create(SerialTarget target, Screen screen) {
  Wakeup wake = EIDOLON_TRY(Wakeup::create());
  SignalWatch signals = EIDOLON_TRY(SignalWatch::create());
  return std::unique_ptr<Console>(
      new Console(std::move(target), screen, std::move(signals), std::move(wake)));
}

Result<> Console::open_output() {
  if (target_.kind == SerialTarget::Kind::kNull) return {};
  FileDescriptor fd = EIDOLON_TRY(open_descriptor(target_));
  output_ = std::make_unique<DescriptorOutput>(std::move(fd), [this](const Error& error) {
    say("eidolon: " + error.message);
    // A file that fills up costs only the rest of the log; a reader that has gone ends an interactive
    // machine.
    if (target_.kind != SerialTarget::Kind::kStdio) return;
    output_gone_.store(true);
    wake();
  });
  return {};
}

Result<std::unique_ptr<Output>> open_other_output(const SerialTarget& target) {
  if (target.kind == SerialTarget::Kind::kNull) return std::make_unique<NullOutput>();
  FileDescriptor fd = EIDOLON_TRY(open_descriptor(target));
  return std::make_unique<DescriptorOutput>(std::move(fd),
                                            [](const Error& error) { say("eidolon: " + error.message); });
}

void Console::set_receiver(Input::Receiver receiver) {
  if (input_) input_->set_receiver(std::move(receiver));
}

void Console::wake() const { wake_.raise(); }

Console::Left Console::serve(const std::function<bool()>& done) {
  enter_terminal();
  for (;;) {
    if (done()) return {.why = Leave::kDone};
    if (output_gone_.load()) return {.why = Leave::kOutputGone};
    if (input_) input_->deliver();

    std::array<pollfd, 3> watched = {pollfd{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                                     wake_.watched(),
                                     pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    const bool reading = input_ && input_->wants_data();
    if (poll(watched.data(), reading ? 3 : 2, -1) < 0) continue;

    if (watched[1].revents != 0) wake_.drain();
    if (watched[0].revents != 0) {
      if (const std::optional<Left> left = handle_signals()) return *left;
    }
    if (!reading || watched[2].revents == 0) continue;
    switch (input_->on_readable()) {
      case EscapeCommand::kQuit:
        return {.why = Leave::kQuit};
      case EscapeCommand::kHelp:
        if (painter_.notice) {
          painter_.notice(escape_help());
        } else {
          say_lines(escape_help());
        }
        break;
      case EscapeCommand::kNone:
        break;
    }
  }
}

std::optional<Console::Left> Console::handle_signals() {
  while (const std::optional<int> number = signals_.take()) {
    switch (*number) {
      case SIGTSTP:
        stop_and_resume();
        break;
      case SIGCONT:
        enter_terminal();
        break;
      case SIGUSR1:
        if (report_request_) report_request_();
        break;
      case SIGWINCH:
        if (resized_) resized_();
        break;
      default:
        return Left{.why = Leave::kSignal, .signal = *number};
    }
  }
  return std::nullopt;
}

void Console::stop_and_resume() {
  restore_terminal();
  raise(SIGSTOP);
  enter_terminal();
}

void Console::enter_terminal() {
  if (terminal_) terminal_->enter_raw();
  if (painter_.set_active) painter_.set_active(terminal_ && terminal_->raw());
}

void Console::restore_terminal() {
  if (painter_.set_active) painter_.set_active(false);
  if (terminal_) terminal_->restore();
}

}  // namespace eidolon::backend
