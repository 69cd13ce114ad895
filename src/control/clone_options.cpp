#include "control/clone_options.h"

#include "base/try.h"
#include "control/socket_path.h"
#include "machine/clone_config.h"

namespace eidolon::control {

void CloneOptions::describe(CLI::App& app) {
  constexpr unsigned kMost = 1000;
  clone_ = app.add_subcommand("clone", "Start copies of a running machine, which go on from where it is");
  clone_->add_option("--name", request_.name, "which machine; may be left out if only one is running")
      ->type_name("NAME");
  clone_->add_option("--count", request_.count, "how many copies; they are called NAME-1, NAME-2 ...")
      ->type_name("N")
      ->check(CLI::Range(1u, kMost))
      ->capture_default_str();
  clone_->add_flag(
      "--stop", request_.stop,
      "the machine itself ends: needed if it may write to a disk, which its copies then share as "
      "it is, each with changes of its own");
  clone_
      ->add_option("--publish", published_,
                   "a port of the host for a port of the first copy; the second one gets the port behind it, "
                   "and so on. "
                   "May be given several times")
      ->type_name("[ADDRESS:]HOST:GUEST[/udp]")
      ->allow_extra_args(false);
  clone_
      ->add_option("--logs", request_.logs,
                   "a folder for what the copies write to their serial ports, in NAME-1.log ...")
      ->type_name("FOLDER");
  clone_->footer(R"(Example:
  eidolon clone --name web --count 4 --publish 8081:80
  eidolon status)");
}

Result<CloneRequest> CloneOptions::read() const {
  if (!request_.name.empty())
    if (const auto valid = check_machine_name(request_.name); !valid) return std::unexpected(valid.error());
  CloneRequest request = request_;
  request.published = EIDOLON_TRY(backend::parse_published_ports(published_));
  EIDOLON_TRY(machine::ports_of_clone(request.published, request.count));
  return request;
}

}  // namespace eidolon::control
