// The user's side of a machine: the terminal, the keys, the serial line's output and the signals that ask
// the monitor to end, served by one event loop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "backend/input.h"
#include "backend/output.h"
#include "backend/serial_target.h"
#include "backend/signals.h"
#include "backend/terminal.h"
#include "backend/wakeup.h"
#include "base/result.h"

namespace eidolon::backend {

class Console {
 public:
  enum class Leave : uint8_t {
    kDone,        ///< what serve() waited for has happened
    kQuit,        ///< the user typed Ctrl-A x
    kSignal,      ///< SIGINT, SIGTERM or SIGHUP
    kOutputGone,  ///< nobody reads standard output any more
  };
  struct Left {
    Leave why;
    int signal = 0;  ///< of kSignal
  };

  /// Call before any thread exists (SignalWatch), and before an engine that takes host faults (Terminal). The
  /// terminal is left alone until serve().
  /// `screen`: kOwn if the machine's screen is drawn in the terminal; the keys are the receiver's then.
  static Result<std::unique_ptr<Console>> create(SerialTarget target, Screen screen = Screen::kShared);
  ~Console();

  /// Opens the target of the serial line; a file is emptied. Until then output() drops everything.
  Result<> open_output();
  [[nodiscard]] Output& output() { return *output_; }
  /// Who takes the user's input; an empty function while there is nobody.
  void set_receiver(Input::Receiver receiver);
  /// What SIGUSR1 asks for; an empty function while there is nobody to ask.
  void set_report_request(std::function<void()> request) { report_request_ = std::move(request); }
  /// Who is told that the terminal may have another size.
  void set_resize_observer(std::function<void()> observer) { resized_ = std::move(observer); }
  /// Who draws on the terminal's own screen.
  struct Painter {
    std::function<void(bool)> set_active;          ///< whether the terminal is there to be drawn on
    std::function<void(std::string_view)> notice;  ///< shows a text of the monitor's own
  };
  void set_painter(Painter painter) { painter_ = std::move(painter); }
  /// From any thread: the receiver has room again, or `done` has become true.
  void wake() const;

  /// Serves the user until `done()`, or until the machine is to end. In raw mode from the first call on.
  Left serve(const std::function<bool()>& done);
  /// Gives the terminal back before the last words of the program.
  void restore_terminal();

 private:
  Console(SerialTarget target, Screen screen, SignalWatch signals, Wakeup wake);
  [[nodiscard]] std::optional<Left> handle_signals();
  void stop_and_resume();
  void enter_terminal();

  SerialTarget target_;
  SignalWatch signals_;
  Wakeup wake_;
  std::unique_ptr<Terminal> terminal_;  ///< null unless the serial line or the screen is there
  std::unique_ptr<Input> input_;        ///< likewise
  std::atomic<bool> output_gone_{false};
  std::unique_ptr<Output> output_;
  std::function<void()> report_request_, resized_;
  Painter painter_;
};

/// The output of a serial line that goes to a file, which is emptied, or nowhere.
[[nodiscard]] Result<std::unique_ptr<Output>> open_other_output(const SerialTarget& target);

}  // namespace eidolon::backend
