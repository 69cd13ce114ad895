// What gets a thread out of poll(): an event descriptor.
#pragma once

#include <poll.h>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class Wakeup {
 public:
  static Result<Wakeup> create();

  /// Has the thread's poll() return, this one or the next. From any thread.
  void raise() const;
  /// For poll(). Ready until drain().
  [[nodiscard]] pollfd watched() const { return {.fd = fd_.get(), .events = POLLIN, .revents = 0}; }
  void drain() const;
  [[nodiscard]] bool raised() const {
    pollfd fd = watched();
    return poll(&fd, 1, 0) > 0;
  }

 private:
  explicit Wakeup(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace eidolon::backend
