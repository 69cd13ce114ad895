// The signals that ask the monitor to end, stop, go on or report, or tell of the terminal's size, as a file descriptor for the event loop
// (signalfd(2)): they never interrupt a virtual processor.
#pragma once

#include <optional>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class SignalWatch {
 public:
  /// Blocks SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGUSR1 and SIGWINCH for the calling thread and those that it
  /// starts from now on, so call it before any thread exists. A signal that the parent chose to ignore
  /// (nohup) stays ignored. SIGPIPE is ignored from now on: a reader that went away is an error of write().
  static Result<SignalWatch> create();

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The next signal that arrived, or nullopt.
  [[nodiscard]] std::optional<int> take() const;

 private:
  explicit SignalWatch(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace eidolon::backend
