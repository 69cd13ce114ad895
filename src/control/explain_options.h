// The options of `eidolon explain`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/explain_request.h"
#include "control/machine_options.h"

namespace eidolon::control {

class ExplainOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return explain_ != nullptr && explain_->parsed(); }
  /// What was typed.
  [[nodiscard]] Result<ExplainRequest> read() const;

 private:
  CLI::App* explain_ = nullptr;
  MachineText machine_;
  std::string at_, symbols_, after_;
  unsigned timeout_ = 60;
};

}  // namespace eidolon::control
