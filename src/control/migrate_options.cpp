#include "control/migrate_options.h"

#include <filesystem>

#include "base/try.h"
#include "control/socket_path.h"
#include "machine/engine_choice.h"

namespace eidolon::control {

namespace {

constexpr const char* kPlaceHelp = "unix:PATH or tcp:HOST:PORT";
constexpr const char* kTlsHelp =
    "a folder with ca.pem, cert.pem and key.pem: TLS 1.3, with a certificate on each side";
constexpr const char* kInsecureHelp =
    "let the guest's memory go over the network as it is, for all on the way to see and to change";

/// A guest's memory holds its secrets.
Result<migration::Place> safe_place(const std::string& text, const std::string& tls, bool insecure) {
  migration::Place place = EIDOLON_TRY(migration::parse_place(text));
  if (!tls.empty() && insecure) return fail("--tls and --insecure exclude each other; leave one of them out");
  if (tls.empty() && !insecure && !migration::stays_here(place))
    return fail(
        "a guest's memory would cross the network for all to see; protect it with --tls FOLDER, or say "
        "--insecure");
  return place;
}

std::string full_name(const std::string& folder) {
  return folder.empty() ? "" : std::filesystem::absolute(folder).lexically_normal().string();
}

}  // namespace

void MigrateOptions::describe(CLI::App& app) {
  migrate_ = app.add_subcommand("migrate", "Move a running machine to another process, which waits for it");
  migrate_->add_option("TO", to_, kPlaceHelp);
  migrate_->add_option("--name", request_.name, "which machine; may be left out if only one is running")
      ->type_name("NAME");
  migrate_->add_option("--tls", tls_, kTlsHelp)->type_name("FOLDER");
  migrate_->add_flag("--insecure", insecure_, kInsecureHelp);
  migrate_
      ->add_option("--down-time", request_.down_time_ms,
                   "how long the guest may stand at the end, in milliseconds")
      ->type_name("MS")
      ->check(CLI::Range(1u, 60'000u))
      ->capture_default_str();
  migrate_->add_flag("--no-converge", no_converge_,
                     "do not slow down a guest that writes faster than its memory can be sent");
  migrate_->add_flag("--cancel", cancel_, "end a move that is under way: the machine goes on where it is");
  migrate_->add_flag("--show", show_, "say how far a move is");
  migrate_->footer(R"(Interrupting this command (Ctrl-C) cancels the move.

Example, on the host where the machine is to go on, and on the one where it is:
  eidolon receive tcp:0.0.0.0:4444 --tls certificates --name web
  eidolon migrate tcp:other.example:4444 --tls certificates --name web)");
}

Result<MigrateRequest> MigrateOptions::read() const {
  MigrateRequest request = request_;
  if (!request.name.empty()) EIDOLON_TRY(check_machine_name(request.name));
  if (int{cancel_} + int{show_} + int{!to_.empty()} != 1)
    return fail(
        "migrate takes where the machine is to go on, or --cancel, or --show; see eidolon migrate --help");
  request.converge = !no_converge_;
  request.tls = full_name(tls_);
  if (cancel_) request.action = MigrateRequest::Action::kCancel;
  if (show_) request.action = MigrateRequest::Action::kShow;
  if (!to_.empty()) request.to = EIDOLON_TRY(safe_place(to_, tls_, insecure_));
  return request;
}

void ReceiveOptions::describe(CLI::App& app) {
  receive_ = app.add_subcommand(
      "receive", "Wait for a machine that another process sends by eidolon migrate, and run it");
  receive_->add_option("AT", at_, kPlaceHelp)->required();
  receive_->add_option("--tls", tls_, kTlsHelp)->type_name("FOLDER");
  receive_->add_flag("--insecure", insecure_, kInsecureHelp);
  describe_session(*receive_, session_);
  receive_->footer(
      R"(The machine's disks, kernel and firmware are expected under the names that they have where it comes
from. What is not the machine's own, such as --engine and --display, is given here.

Example:
  eidolon receive unix:/tmp/web.sock --name web2)");
}

Result<ReceiveRequest> ReceiveOptions::read() const {
  // Whether they fit the machine is seen when it comes.
  if (!session_.name.empty()) EIDOLON_TRY(check_machine_name(session_.name));
  EIDOLON_TRY(machine::parse_engine_choice(session_.engine));
  EIDOLON_TRY(backend::parse_display_target(session_.display));
  if (!session_.serial.empty()) EIDOLON_TRY(backend::parse_serial_target(session_.serial));
  return ReceiveRequest{
      .at = EIDOLON_TRY(safe_place(at_, tls_, insecure_)), .tls = full_name(tls_), .session = session_};
}

}  // namespace eidolon::control
