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

/// Names of servers (nbd://...) stay as they are.
std::string full_name(const std::string& path) {
  if (path.empty() || path.find("://") != std::string::npos) return path;
  return std::filesystem::absolute(path).lexically_normal().string();
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
  CLI::Option* later = migrate_->add_flag(
      "--post-copy", request_.post_copy,
      "let the guest go on there before all of its memory is there, if it writes faster than that can be "
      "sent: the "
      "rest follows, what the guest waits for first. If the connection breaks then, the guest is lost");
  migrate_
      ->add_option("--rounds", request_.rounds,
                   "with --post-copy: the guest goes on there after so many rounds of copying at the latest "
                   "(0: at once)")
      ->type_name("N")
      ->check(CLI::Range(0u, 1000u))
      ->needs(later);
  migrate_->add_flag("--copy-disks", request_.copy_disks,
                     "send what is on the disks too, into images of the same sizes that receive --disk "
                     "names, and UEFI variables in a file into the one of receive --uefi-vars: for what "
                     "the other side cannot reach. Those here stay as they are");
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
  receive_
      ->add_option(
          "--disk", disks_,
          "the disk that is called FROM where the machine comes from is TO here; with migrate --copy-disks "
          "what is in TO is overwritten. May be given several times")
      ->type_name("FROM=TO")
      ->allow_extra_args(false);
  receive_
      ->add_option(
          "--uefi-vars", variables_,
          "the file with the machine's UEFI variables is FILE here; with migrate --copy-disks what is "
          "in it is overwritten, and it is made if it is not there")
      ->type_name("FILE");
  describe_session(*receive_, session_);
  receive_->footer(
      R"(The machine's disks, kernel and firmware are expected under the names that they have where it comes
from. What is not the machine's own, such as --engine and --display, is given here.

Examples; the second for a machine that is sent with migrate --copy-disks:
  eidolon receive unix:/tmp/web.sock --name web2
  eidolon receive tcp:0.0.0.0:4444 --tls certificates --disk /srv/web.img=/data/web.img)");
}

Result<ReceiveRequest> ReceiveOptions::read() const {
  // Whether they fit the machine is seen when it comes.
  if (!session_.name.empty()) EIDOLON_TRY(check_machine_name(session_.name));
  EIDOLON_TRY(machine::parse_engine_choice(session_.engine));
  EIDOLON_TRY(backend::parse_display_target(session_.display));
  if (!session_.serial.empty()) EIDOLON_TRY(backend::parse_serial_target(session_.serial));
  ReceiveRequest request{.at = EIDOLON_TRY(safe_place(at_, tls_, insecure_)),
                         .tls = full_name(tls_),
                         .disks = {},
                         .variables = full_name(variables_),
                         .session = session_};
  for (const std::string& disk : disks_) {
    const size_t equals = disk.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == disk.size())
      return fail("--disk takes FROM=TO, the names of a disk where the machine comes from and here");
    request.disks.push_back({.from = disk.substr(0, equals), .to = full_name(disk.substr(equals + 1))});
  }
  return request;
}

}  // namespace eidolon::control
