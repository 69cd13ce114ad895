// The options of `eidolon restore`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/run_request.h"
#include "control/session_options.h"

namespace eidolon::control {

class RestoreOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return restore_ != nullptr && restore_->parsed(); }
  /// Reads from the snapshot which machine it is of.
  [[nodiscard]] Result<RunRequest> read() const;

 private:
  CLI::App* restore_ = nullptr;
  std::string file_;
  bool changed_disks_ = false, clone_ = false, catch_up_ = false;
  std::vector<std::string> published_;
  SessionText session_;
};

}  // namespace eidolon::control
