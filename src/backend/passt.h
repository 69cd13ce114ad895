// passt (https://passt.top), which gives a machine the host's own addresses and connections without
// privileges: a program that the monitor starts, and starts again when it ends.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/published_port.h"
#include "backend/switch_link.h"
#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

/// One process at a time.
class Passt final : public SwitchLink::Opener {
 public:
  Passt(std::string program, std::span<const PublishedPort> published);
  ~Passt() override { end(); }
  Passt(const Passt&) = delete;
  Passt& operator=(const Passt&) = delete;

  /// A fresh process in the place of the one before, and a socket to it; not valid: it cannot be had now.
  [[nodiscard]] FileDescriptor open() override;
  /// What it has published is free when this returns.
  void closed() override { end(); }

 private:
  void end();

  const std::string program_;
  std::vector<std::string> arguments_;
  pid_t pid_ = -1;
};

/// Fails if there is no such program in PATH.
[[nodiscard]] Result<std::unique_ptr<SwitchLink>> make_passt_link(std::span<const PublishedPort> published);

}  // namespace eidolon::backend
