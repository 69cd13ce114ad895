// The options of `eidolon image`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/image_request.h"

namespace eidolon::control {

class ImageOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return image_ != nullptr && image_->parsed(); }
  /// What was typed.
  [[nodiscard]] Result<ImageRequest> read() const;

 private:
  CLI::App* image_ = nullptr;
  CLI::App *create_ = nullptr, *info_ = nullptr, *check_ = nullptr, *convert_ = nullptr;
  std::string path_, target_, format_ = "qcow2", from_, size_, backing_, backing_format_;
  bool repair_ = false, json_ = false;
};

}  // namespace eidolon::control
