#include "control/switch_command.h"

#include <poll.h>

#include <csignal>
#include <cstdio>

#include "backend/signals.h"
#include "backend/switch.h"
#include "control/exit_status.h"

namespace eidolon::control {

namespace {

int refuse(const Error& error, int status) {
  std::fprintf(stderr, "eidolon: %s\n", error.message.c_str());
  return status;
}

}  // namespace

int switch_command(const SwitchRequest& request) {
  const auto signals = backend::SignalWatch::create();
  if (!signals) return refuse(signals.error(), kExitHostError);
  auto ports = backend::Switch::create(request.path);
  if (!ports) return refuse(ports.error(), kExitUsage);
  std::fprintf(stderr, "eidolon: a switch listens on '%s'; plug machines in with --net switch=%s\n",
               request.path.c_str(), request.path.c_str());
  for (;;) {
    ports->run(signals->fd());
    const int signal = signals->take().value_or(SIGTERM);
    if (signal == SIGTSTP) raise(SIGSTOP);  // and a shell makes it go on
    if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) return kExitOk;
  }
}

}  // namespace eidolon::control
