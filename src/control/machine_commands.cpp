#include "control/machine_commands.h"

#include <unistd.h>

#include <chrono>
#include <future>

#include "backend/png.h"
#include "base/try.h"
#include "control/balloon_command.h"
#include "control/base64.h"
#include "control/input_commands.h"
#include "device/display/renderer.h"

namespace eidolon::control {

namespace {

using Json = nlohmann::json;
using Answer = Result<Json>;

Result<const device::display::Vga*> screen_of(const Commanded& on) {
  if (on.machine.vga() == nullptr) return fail("this machine has no screen; start it without --vga none");
  return on.machine.vga();
}

Answer status(const Json& /*request*/, const Commanded& on) {
  Json answer = {{"name", on.name},
                 {"pid", getpid()},
                 {"state", on.machine.paused() ? "paused" : "running"},
                 {"engine", engine_name(on.machine.engine().kind)},
                 {"up_seconds", static_cast<double>(on.machine.up_time()) / 1e9}};
  if (const auto* vga = on.machine.vga()) {
    const device::display::Mode mode = vga->mode();
    answer["screen"] = {{"width", mode.width}, {"height", mode.height}};
  }
  return answer;
}

Answer screenshot(const Json& /*request*/, const Commanded& on) {
  device::display::Renderer renderer(*EIDOLON_TRY(screen_of(on)));
  renderer.refresh();
  const auto file = EIDOLON_TRY(backend::encode_png(renderer.surface()));
  return Json{
      {"width", renderer.surface().width}, {"height", renderer.surface().height}, {"png", to_base64(file)}};
}

Answer stats(const Json& /*request*/, const Commanded& on) {
  auto promise = std::make_shared<std::promise<std::string>>();
  auto report = promise->get_future();
  on.machine.ask_report([promise](const std::string& text) { promise->set_value(text); });
  // The processor answers between two blocks, unless it is just ending.
  if (report.wait_for(std::chrono::seconds(5)) != std::future_status::ready)
    return fail("the processor does not answer; the machine may be ending");
  return Json{{"report", report.get()}};
}

Answer stop(const Json& /*request*/, const Commanded& on) {
  on.machine.stop();
  return Json::object();
}

Answer power_down(const Json& /*request*/, const Commanded& on) {
  on.machine.press_power_button();
  return Json::object();
}

Answer reset(const Json& /*request*/, const Commanded& on) {
  on.machine.press_reset_button();
  return Json::object();
}

Answer pause(const Json& /*request*/, const Commanded& on) {
  on.machine.pause();
  return Json::object();
}

Answer resume(const Json& /*request*/, const Commanded& on) {
  on.machine.resume();
  return Json::object();
}

/// "file" by its full name, for this process has a folder of its own. With "stop", the machine ends where the
/// snapshot was taken.
Answer snapshot(const Json& request, const Commanded& on) {
  const auto file = request.find("file");
  if (file == request.end() || !file->is_string() || !file->get<std::string>().starts_with('/'))
    return fail("\"file\" is the snapshot's full name");
  const auto flag = [&request](const char* name) {
    const auto found = request.find(name);
    return found != request.end() && found->is_boolean() && found->get<bool>();
  };
  machine::Machine::SaveRequest wanted;
  wanted.path = file->get<std::string>();
  if (flag("compress")) wanted.packing = snapshot::Packing::kPacked;
  if (flag("stop")) wanted.then = machine::Machine::AfterSave::kStop;
  wanted.track = flag("track");
  if (const auto since = request.find("since"); since != request.end()) {
    if (!since->is_string() || !since->get<std::string>().starts_with('/'))
      return fail("\"since\" is a snapshot's full name");
    wanted.since = since->get<std::string>();
    wanted.track = true;
  }
  if (wanted.since == wanted.path)
    return fail("a snapshot cannot replace the one that it stands on; name another file");
  EIDOLON_TRY(on.machine.save(wanted));
  return Json::object();
}

/// With an action, what was done; without, who is there.
Answer processors(const Json& request, const Commanded& on) {
  machine::ProcessorSlots* const slots = on.machine.slots();
  if (slots == nullptr)
    return fail("this machine's processors cannot come and go; start it with --cpus N,max=M");
  const auto action = request.find("action");
  if (action == request.end()) return Json{{"present", slots->present()}, {"most", slots->size()}};
  if (*action == "add") return Json{{"added", EIDOLON_TRY(slots->add())}};
  if (*action == "remove") return Json{{"asked_for", EIDOLON_TRY(slots->remove())}};
  return fail("processors takes add or remove");
}

/// Without an engine, which one it is.
Answer engine(const Json& request, const Commanded& on) {
  const auto action = request.find("action");
  if (action != request.end()) {
    if (!action->is_string()) return fail("engine takes auto, translate, kvm or step");
    const auto choice = EIDOLON_TRY(machine::parse_engine_choice(action->get<std::string>()));
    const auto decision = EIDOLON_TRY(machine::decide_engine(choice, machine::probe_kvm));
    EIDOLON_TRY(on.machine.switch_engine(decision.kind));
  }
  return Json{{"engine", engine_name(on.machine.engine().kind)}};
}

Answer migrate(const Json& request, const Commanded& on) {
  const auto text = [&request](const char* name) {
    const auto found = request.find(name);
    return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  machine::MigrationRequest wanted{.to = EIDOLON_TRY(migration::parse_place(text("to"))), .tls = text("tls")};
  if (!wanted.tls.empty() && !wanted.tls.starts_with('/')) return fail("\"tls\" is a folder's full name");
  constexpr uint64_t kMostMilliseconds = 60'000, kMostRounds = 1000;
  if (const auto time = request.find("down_time_ms"); time != request.end()) {
    if (!time->is_number_unsigned() || *time == 0u || *time > kMostMilliseconds)
      return fail("\"down_time_ms\" is a number from 1 to {}", kMostMilliseconds);
    wanted.down_time = std::chrono::milliseconds(time->get<uint64_t>());
  }
  const auto choose = [&request](const char* name, bool& choice) -> Result<> {
    const auto found = request.find(name);
    if (found == request.end()) return {};
    if (!found->is_boolean()) return fail("\"{}\" is true or false", name);
    choice = found->get<bool>();
    return {};
  };
  EIDOLON_TRY(choose("converge", wanted.converge));
  EIDOLON_TRY(choose("post_copy", wanted.post_copy));
  EIDOLON_TRY(choose("copy_disks", wanted.copy_disks));
  if (const auto rounds = request.find("rounds"); rounds != request.end()) {
    if (!rounds->is_number_unsigned() || *rounds > kMostRounds)
      return fail("\"rounds\" is a number up to {}", kMostRounds);
    wanted.most_rounds = rounds->get<unsigned>();
  }
  EIDOLON_TRY(on.machine.migrate(wanted));
  return Json::object();
}

/// How far it is; with the action "cancel", it ends.
Answer migration_progress(const Json& request, const Commanded& on) {
  using State = machine::MigrationProgress::State;
  if (const auto action = request.find("action"); action != request.end()) {
    if (*action != "cancel") return fail("migration takes cancel");
    if (const auto progress = on.machine.migration(); progress && progress->there)
      return fail(
          "the machine runs there already, and the rest of its memory follows: that cannot be cancelled");
    on.machine.cancel_migration();
    return Json::object();
  }
  const auto progress = on.machine.migration();
  if (!progress) return Json{{"state", "none"}};
  const char* state = progress->state == State::kMoving ? "moving"
                      : progress->state == State::kDone ? "done"
                                                        : "failed";
  Json answer = {{"state", state},
                 {"memory_bytes", progress->memory_bytes},
                 {"disk_bytes", progress->disk_bytes},
                 {"sent_bytes", progress->sent_bytes},
                 {"left_bytes", progress->left_bytes},
                 {"rounds", progress->rounds},
                 {"there", progress->there},
                 {"followed_bytes", progress->followed_bytes},
                 {"waits", progress->waits},
                 {"slowed_percent", progress->slowed_percent},
                 {"seconds", progress->seconds},
                 {"down_seconds", progress->down_seconds}};
  // "error" is taken by what is said of requests that fail.
  if (progress->state == State::kFailed) answer["reason"] = progress->error;
  return answer;
}

struct Command {
  std::string_view name;
  Answer (*carry_out)(const Json& request, const Commanded& on);
};
constexpr Command kCommands[] = {
    {"status", status},        {"screenshot", screenshot},
    {"keys", press_keys},      {"mouse", use_mouse},
    {"stats", stats},          {"stop", stop},
    {"powerdown", power_down}, {"reset", reset},
    {"pause", pause},          {"resume", resume},
    {"snapshot", snapshot},    {"processors", processors},
    {"balloon", balloon},      {"engine", engine},
    {"migrate", migrate},      {"migration", migration_progress},
};

std::string known_commands() {
  std::string names;
  for (const Command& command : kCommands) names += (names.empty() ? "" : ", ") + std::string(command.name);
  return names;
}

}  // namespace

Answer carry_out_command(const std::string& name, const Json& request, const Commanded& on) {
  for (const Command& command : kCommands)
    if (command.name == name) return command.carry_out(request, on);
  return fail("there is no command '{}'; there are {}", name, known_commands());
}

}  // namespace eidolon::control
