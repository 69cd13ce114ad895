// A monitor run as a user runs it: a process with its serial console on pipes. Tests type and wait for text.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace eidolon::boot_test {

class GuestProcess {
 public:
  /// `arguments` as after "eidolon".
  explicit GuestProcess(const std::vector<std::string>& arguments);
  /// Kills what still runs.
  ~GuestProcess();
  GuestProcess(const GuestProcess&) = delete;
  GuestProcess& operator=(const GuestProcess&) = delete;

  void type(std::string_view text) const;
  /// To the monitor itself. Nothing is sent, and the test fails, if it does not run: its number is not given
  /// out, because kill(2) takes -1 for every process there is.
  void send_signal(int number) const;
  /// Host memory that the monitor holds at the moment.
  [[nodiscard]] uint64_t resident_bytes() const;
  /// Processes that the monitor has started.
  [[nodiscard]] std::vector<pid_t> children() const;
  void close_input() { to_.reset(); }

  /// Reads until `text` has come since the last wait_for(). False if the process ends or time runs out first.
  [[nodiscard]] bool wait_for(std::string_view text, std::chrono::seconds limit);
  /// The same for whichever of `texts` comes first.
  [[nodiscard]] bool wait_for_any(std::initializer_list<std::string_view> texts, std::chrono::seconds limit);
  /// Reads to the end. The exit status, 128 + signal, or -1 if time runs out.
  [[nodiscard]] int wait_for_end(std::chrono::seconds limit);

  /// Standard output, all of it so far; the end of it, for messages; and standard error.
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] std::string tail() const;
  [[nodiscard]] const std::string& errors() const { return errors_; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  /// Waits for more output; false at the end of it or at the deadline.
  bool read_more(Deadline deadline);

  pid_t pid_ = -1;
  FileDescriptor to_;
  FileDescriptor output_fd_;
  FileDescriptor errors_fd_;
  std::string output_;
  std::string errors_;
  size_t seen_ = 0;  ///< how far into output_ wait_for() has come
};

}  // namespace eidolon::boot_test
