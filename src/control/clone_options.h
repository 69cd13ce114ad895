// `eidolon clone` on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/clone_request.h"

namespace eidolon::control {

class CloneOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return clone_ != nullptr && clone_->parsed(); }
  [[nodiscard]] Result<CloneRequest> read() const;

 private:
  CLI::App* clone_ = nullptr;
  CloneRequest request_;
  std::vector<std::string> published_;
};

}  // namespace eidolon::control
