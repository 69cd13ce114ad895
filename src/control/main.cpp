// The program: reads the command line and hands over to a command.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "control/ask_command.h"
#include "control/check_command.h"
#include "control/clone_command.h"
#include "control/command_line.h"
#include "control/exit_status.h"
#include "control/explain_command.h"
#include "control/image_command.h"
#include "control/migrate_command.h"
#include "control/receive_command.h"
#include "control/run_command.h"
#include "control/switch_command.h"

namespace {

using namespace eidolon::control;

/// A parent may start us with a standard descriptor closed; the next file opened would then become our
/// standard input or output.
void fill_standard_descriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

int act(const RunRequest& request) { return run_command(request); }
int act(const ExplainRequest& request) { return explain_command(request); }
int act(const CheckRequest& request) { return check_command(request.json); }
int act(const ImageRequest& request) { return image_command(request); }
int act(const SwitchRequest& request) { return switch_command(request); }
int act(const AskRequest& request) { return ask_command(request); }
int act(const CloneRequest& request) { return clone_command(request); }
int act(const MigrateRequest& request) { return migrate_command(request); }
int act(const ReceiveRequest& request) { return receive_command(request); }
int act(const Finished& finished) {
  std::fputs(finished.output.c_str(), stdout);
  if (!finished.error.empty()) std::fprintf(stderr, "eidolon: %s\n", finished.error.c_str());
  return finished.status;
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  try {
    const Request request = parse_command_line({argv + (argc > 0 ? 1 : 0), argv + argc});
    return std::visit([](const auto& wanted) { return act(wanted); }, request);
  } catch (const std::exception& error) {  // memory, most likely: nothing of ours throws
    std::fprintf(stderr, "eidolon: the host failed (%s); free some memory and try again\n", error.what());
    return kExitHostError;
  }
}
