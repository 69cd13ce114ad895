// The options of `eidolon migrate` and `eidolon receive`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "control/migrate_request.h"

namespace eidolon::control {

class MigrateOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return migrate_->parsed(); }
  [[nodiscard]] Result<MigrateRequest> read() const;

 private:
  CLI::App* migrate_ = nullptr;
  std::string to_, tls_;
  bool insecure_ = false, cancel_ = false, show_ = false, no_converge_ = false;
  MigrateRequest request_;
};

class ReceiveOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return receive_->parsed(); }
  [[nodiscard]] Result<ReceiveRequest> read() const;

 private:
  CLI::App* receive_ = nullptr;
  std::string at_, tls_;
  bool insecure_ = false;
  std::vector<std::string> disks_;
  std::string variables_;
  SessionText session_;
};

}  // namespace eidolon::control
