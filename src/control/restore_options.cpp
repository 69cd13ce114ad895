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
  restore_->add_flag(
      "--clone", clone_,
      "one of several machines that go on from this snapshot: what is written to its disks is "
      "forgotten, its network card has an address of its own, and it publishes no ports but those "
      "that are given here");
  restore_
      ->add_option("--publish", published_,
                   "with --clone: a port of the host for one of the guest's; may be given "
                   "several times")
      ->type_name("[ADDRESS:]HOST:GUEST[/udp]")
      ->allow_extra_args(false);
  restore_->add_flag(
      "--catch-up", catch_up_,
      "let the guest's clocks go on as if it had run since the snapshot was taken; otherwise they are late "
      "by that");
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
  auto published = EIDOLON_TRY(backend::parse_published_ports(published_));
  if (!clone_ && !published.empty())
    return fail("a machine has the ports that it was started with; say --clone for one that has others");
  if (clone_) EIDOLON_TRY(machine::make_clone(saved->config, std::move(published)));
  RunRequest request;
  request.machine = saved->config;
  request.catch_up = catch_up_;
  EIDOLON_TRY(read_session(session_, request));
  request.snapshot = std::move(saved);
  return request;
}

}  // namespace eidolon::control
