#include "control/restore_options.h"

#include "base/try.h"
#include "machine/clone_config.h"

namespace eidolon::control {

void RestoreOptions::describe(CLI::App& app) {
  restore_ = app.add_subcommand("restore", "Let a machine go on from a snapshot");
  restore_->add_option("FILE", file_, "what eidolon snapshot has written")->required();
  restore_->add_flag(
      "--changed-disks", changed_disks_,
      "go on even if a disk was written after the snapshot was taken: the guest may find it damaged");
  restore_->add_flag("--clone", clone_,
                     "one of several machines that go on from this snapshot: what is written to its disks is "
                     "forgotten, and it publishes no ports");
  describe_session(*restore_, session_);
  restore_->footer(
      R"(Memory, processors, devices and disks are the snapshot's; --engine may be another one than it
was taken with.

Examples:
  eidolon snapshot machine.snap --stop
  eidolon restore machine.snap --name web)");
}

Result<RunRequest> RestoreOptions::read() const {
  auto saved = std::make_shared<machine::SavedMachine>(EIDOLON_TRY(machine::SavedMachine::open(file_)));
  saved->changed_disks = changed_disks_;
  if (clone_) EIDOLON_TRY(machine::make_clone(saved->config));
  RunRequest request;
  request.machine = saved->config;
  EIDOLON_TRY(read_session(session_, request));
  request.snapshot = std::move(saved);
  return request;
}

}  // namespace eidolon::control
