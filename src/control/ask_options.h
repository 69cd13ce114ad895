// The commands that talk to a running machine, on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <list>
#include <optional>

#include "base/result.h"
#include "control/ask_request.h"

namespace eidolon::control {

class AskOptions {
 public:
  /// Adds the commands to `app`, which must not outlive this.
  explicit AskOptions(CLI::App& app);
  /// After parsing: the command that was given, if it is one of these.
  [[nodiscard]] std::optional<Result<AskRequest>> read() const;

 private:
  void add_keys(CLI::App& app);
  void add_mouse(CLI::App& app);
  CLI::App* add(CLI::App& app, const char* name, const char* description);

  std::string name_;
  std::string file_;
  bool compress_ = false, stop_ = false, track_ = false;  ///< of snapshot
  std::string since_;
  std::vector<std::string> keys_;
  std::string text_;
  std::vector<std::string> mouse_;
  std::string action_;  ///< of processors
  std::string size_;    ///< of balloon
  std::list<CLI::App*> commands_;
};

}  // namespace eidolon::control
