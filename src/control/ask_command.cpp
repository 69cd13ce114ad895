#include "control/ask_command.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "control/ask_machine.h"
#include "control/base64.h"
#include "control/socket_path.h"

namespace eidolon::control {

namespace {

using Json = nlohmann::json;

Result<> write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return fail("cannot write '{}' ({}); name another file", path, strerror(errno));
  return {};
}

Result<> save_screenshot(const AskRequest& request, const Json& answer) {
  const auto png = from_base64(answer.value("png", ""));
  if (!png || png->empty()) return fail("the machine sent no picture");
  return write_file(request.file, *png);
}

void show_status(const Json& status) {
  std::string screen;
  if (const auto found = status.find("screen"); found != status.end() && found->is_object())
    screen = fmt::format(", screen {}x{}", found->value("width", 0), found->value("height", 0));
  fmt::print("{}: {}, process {}, engine {}, up {:.1f} s{}\n", status.value("name", "?"),
             status.value("state", "?"), status.value("pid", 0), status.value("engine", "?"),
             status.value("up_seconds", 0.0), screen);
}

/// Without a name: every machine.
Result<> ask_status(const AskRequest& request) {
  std::vector<std::string> names;
  if (request.name.empty()) {
    names = EIDOLON_TRY(running_machines());
    if (names.empty()) fmt::print("no machine with a name is running\n");
  } else {
    names.push_back(request.name);
  }
  for (const std::string& name : names) {
    const std::string path = EIDOLON_TRY(socket_path(name));
    const Result<Json> status = ask_machine(path, request.request);
    if (status) {
      show_status(*status);
    } else if (!request.name.empty()) {
      return std::unexpected(status.error());
    } else {
      fmt::print("{}: {}\n", name, status.error().message);
    }
  }
  return {};
}

void show_processors(const Json& answer) {
  if (const auto added = answer.find("added"); added != answer.end()) {
    fmt::print("processor {} is plugged in\n", added->get<unsigned>());
  } else if (const auto asked = answer.find("asked_for"); asked != answer.end()) {
    fmt::print("the guest is asked to give back processor {}\n", asked->get<unsigned>());
  } else {
    const auto present = answer.at("present").get<std::vector<unsigned>>();
    fmt::print("{} of {} processors are plugged in: {}\n", present.size(), answer.at("most").get<unsigned>(),
               fmt::join(present, ", "));
  }
}

/// A part of the guest's statistics, if it tells it.
std::string in_mib(const Json& statistics, const char* name) {
  const auto found = statistics.find(name);
  return found == statistics.end() ? "" : fmt::format(", {} MiB {}", found->get<uint64_t>() >> 20, name);
}

void show_balloon(const Json& answer) {
  const auto mib = [&answer](const char* name) { return answer.at(name).get<uint64_t>() >> 20; };
  fmt::print("the guest keeps {} of {} MiB", mib("kept"), mib("memory"));
  if (mib("kept") != mib("target")) fmt::print(" and is asked to keep {}", mib("target"));
  if (!answer.at("driver").get<bool>()) fmt::print("; it has no driver for the balloon that could give some");
  fmt::print("\n");
  const auto statistics = answer.find("statistics");
  if (statistics == answer.end() || statistics->empty()) return;
  std::string parts;
  for (const char* name : {"total", "free", "available", "caches"}) parts += in_mib(*statistics, name);
  fmt::print("it says:{}\n", parts.empty() ? " nothing of its memory" : parts.substr(1));
}

Result<> carry_out(const AskRequest& request) {
  if (request.command == "status") return ask_status(request);
  const std::string path = EIDOLON_TRY(find_machine(request.name));
  const bool snapshot = request.command == "snapshot";
  const Json answer =
      EIDOLON_TRY(ask_machine(path, request.request, snapshot ? kSnapshotPatienceSeconds : kPatienceSeconds));
  if (request.command == "screenshot") return save_screenshot(request, answer);
  if (request.command == "processors") show_processors(answer);
  if (request.command == "balloon") show_balloon(answer);
  if (request.command == "engine") fmt::print("{}\n", answer.at("engine").get<std::string>());
  if (const auto report = answer.find("report"); report != answer.end() && report->is_string())
    fmt::print("{}\n", report->get<std::string>());
  return {};
}

}  // namespace

int ask_command(const AskRequest& request) {
  return exit_status_of([&request] { return carry_out(request); });
}

}  // namespace eidolon::control
