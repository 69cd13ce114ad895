#include "control/receive_command.h"

#include <csignal>
#include <optional>

#include "backend/terminal.h"
#include "base/try.h"
#include "control/exit_status.h"
#include "control/run_command.h"
#include "machine/arrival.h"
#include "migration/listener.h"

namespace eidolon::control {

namespace {

using machine::Arrival;

/// Until one comes whose machine can run here. Anybody may connect; what is no migration is told of, and
/// another one is waited for.
Result<std::unique_ptr<Arrival>> wait_for_arrival(const ReceiveRequest& request,
                                                  const backend::Wakeup& never) {
  std::optional<migration::Tls> tls;
  if (!request.tls.empty())
    tls.emplace(EIDOLON_TRY(migration::Tls::load(request.tls, migration::Tls::Side::kListens)));
  const migration::Listener listener = EIDOLON_TRY(migration::Listener::create(request.at));
  backend::say("eidolon: waiting for a machine at " + migration::to_string(request.at));
  for (;;) {
    auto connection = migration::Connection::accepted(listener.accept(), tls ? &*tls : nullptr, never);
    Result<std::unique_ptr<Arrival>> arrival =
        connection ? Arrival::greet(*std::move(connection), request.disks, request.variables)
                   : std::unexpected(connection.error());
    if (arrival) return arrival;
    backend::say("eidolon: refused what has connected: " + arrival.error().message);
  }
}

Result<RunRequest> receive(const ReceiveRequest& request, const backend::Wakeup& never) {
  std::shared_ptr<Arrival> arrival = EIDOLON_TRY(wait_for_arrival(request, never));
  backend::say(
      fmt::format("eidolon: a machine with {} MiB of memory comes", arrival->config().memory_bytes >> 20));
  RunRequest run;
  run.machine = arrival->config();
  if (const Result<> session = read_session(request.session, run); !session) {
    arrival->refuse(session.error());
    return std::unexpected(session.error());
  }
  auto saved = arrival->receive(run.machine.engine);
  if (!saved) {
    arrival->refuse(saved.error());
    return fail("the machine goes on where it was: {}", saved.error().message);
  }
  run.snapshot = std::make_shared<machine::SavedMachine>(*std::move(saved));
  run.arrival = std::move(arrival);
  return run;
}

}  // namespace

int receive_command(const ReceiveRequest& request) {
  std::signal(SIGPIPE, SIG_IGN);  // a source that went away is an error of writing
  const auto complain = [](const Error& error) {
    backend::say("eidolon: " + error.message);
    return kExitHostError;
  };
  const auto never = backend::Wakeup::create();
  if (!never) return complain(never.error());
  const Result<RunRequest> run = receive(request, *never);
  return run ? run_command(*run) : complain(run.error());
}

}  // namespace eidolon::control
