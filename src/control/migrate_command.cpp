#include "control/migrate_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "base/try.h"
#include "control/ask_machine.h"
#include "control/exit_status.h"
#include "control/socket_path.h"

namespace eidolon::control {

namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

volatile std::sig_atomic_t interrupted = 0;

Result<Json> ask(const std::string& path, const Json& request) { return ask_machine(path, request.dump()); }

std::string in_words(const Json& progress) {
  const auto mib = [&progress](const char* name) { return progress.value(name, uint64_t{0}) >> 20; };
  if (progress.value("there", false))
    return fmt::format("the guest runs there: {} MiB of its memory still to come", mib("left_bytes"));
  if (progress.value("rounds", 0u) == 0 && progress.value("sent_bytes", uint64_t{0}) == 0 &&
      mib("disk_bytes") != 0)
    return fmt::format("disks: {} MiB sent, {} MiB left, with memory", mib("disk_bytes"), mib("left_bytes"));
  std::string text = fmt::format("round {}: {} MiB sent, {} MiB left", progress.value("rounds", 0u) + 1,
                                 mib("sent_bytes"), mib("left_bytes"));
  if (const unsigned slowed = progress.value("slowed_percent", 0u); slowed != 0)
    text += fmt::format(", the guest is slowed down by {} %", slowed);
  return text;
}

std::string of_disks(const Json& progress) {
  const auto bytes = progress.value("disk_bytes", uint64_t{0});
  return bytes == 0 ? "" : fmt::format(", and {} MiB of disks", bytes >> 20);
}

std::string what_followed(const Json& progress) {
  const auto bytes = progress.value("followed_bytes", uint64_t{0});
  if (bytes == 0) return "";
  return fmt::format(", then {} MiB followed, for which it waited {} times", bytes >> 20,
                     progress.value("waits", uint64_t{0}));
}

/// On a terminal, in one line that changes.
class Line {
 public:
  void show(const std::string& text) {
    if (!shown_) return;
    fmt::print(stderr, "\r\033[K{}", text);
    std::fflush(stderr);
  }
  void clear() { show(""); }

 private:
  const bool shown_ = isatty(STDERR_FILENO) != 0;
};

Result<> follow(const std::string& path, const std::string& to) {
  Line line;
  bool cancelled = false;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  for (;; std::this_thread::sleep_for(50ms)) {
    if (interrupted != 0 && !cancelled) {
      cancelled = true;
      EIDOLON_TRY(ask(path, {{"command", "migration"}, {"action", "cancel"}}));
    }
    const Result<Json> progress = ask(path, {{"command", "migration"}});
    if (!progress) {
      line.clear();
      return fail("{}; it may have moved, so look at {}", progress.error().message, to);
    }
    const std::string state = progress->value("state", "");
    if (state == "moving") {
      line.show(in_words(*progress));
      continue;
    }
    line.clear();
    if (state != "done")
      return fail("the machine goes on here: {}", progress->value("reason", "it gave no reason"));
    fmt::print("moved to {} in {:.1f} s: {} MiB sent in {} rounds{}, the guest stood for {:.0f} ms{}\n", to,
               progress->value("seconds", 0.0), progress->value("sent_bytes", uint64_t{0}) >> 20,
               progress->value("rounds", 0u), of_disks(*progress),
               progress->value("down_seconds", 0.0) * 1000, what_followed(*progress));
    return {};
  }
}

Result<> migrate(const MigrateRequest& request) {
  using Action = MigrateRequest::Action;
  const std::string path = EIDOLON_TRY(find_machine(request.name));
  if (request.action == Action::kCancel) {
    EIDOLON_TRY(ask(path, {{"command", "migration"}, {"action", "cancel"}}));
    return {};
  }
  if (request.action == Action::kShow) {
    const Json progress = EIDOLON_TRY(ask(path, {{"command", "migration"}}));
    const std::string state = progress.value("state", "");
    if (state == "moving")
      fmt::print("{}\n", in_words(progress));
    else
      fmt::print("{}\n", state == "failed" ? progress.value("reason", "it gave no reason") : state);
    return {};
  }
  Json wanted = {{"command", "migrate"},
                 {"to", migration::to_string(request.to)},
                 {"tls", request.tls},
                 {"down_time_ms", request.down_time_ms},
                 {"converge", request.converge},
                 {"post_copy", request.post_copy},
                 {"copy_disks", request.copy_disks}};
  if (request.rounds) wanted["rounds"] = *request.rounds;
  EIDOLON_TRY(ask(path, wanted));
  return follow(path, migration::to_string(request.to));
}

}  // namespace

int migrate_command(const MigrateRequest& request) {
  return exit_status_of([&request] { return migrate(request); });
}

}  // namespace eidolon::control
