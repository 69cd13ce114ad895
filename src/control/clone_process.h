// One copy of a machine, started: `eidolon restore --clone` as a process that outlives this one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "backend/published_port.h"
#include "base/file.h"
#include "base/result.h"

namespace eidolon::control {

class CloneProcess {
 public:
  /// `log`: what it writes to its serial port, and what it says; empty: only the latter, and it is forgotten.
  static Result<CloneProcess> start(const std::string& image, const std::string& name,
                                    const std::vector<backend::PublishedPort>& published,
                                    const std::string& log);

  /// Returns when it answers on its control socket. The error is what it said when it ended instead.
  Result<> wait_until_it_runs() const;
  /// Ends it; for those that were started before one that cannot be.
  void end() const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  CloneProcess(std::string name, FileDescriptor output)
      : name_(std::move(name)), output_(std::move(output)) {}
  [[nodiscard]] std::string last_line() const;

  std::string name_;
  FileDescriptor output_;  ///< where it writes what it has to say
  pid_t pid_ = 0;
};

}  // namespace eidolon::control
