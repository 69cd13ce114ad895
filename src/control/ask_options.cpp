#include "control/ask_options.h"

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "control/memory_size.h"
#include "control/socket_path.h"

namespace eidolon::control {

namespace {

using Json = nlohmann::json;

/// \n, \t and \\ as they are meant.
std::string without_escapes(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] != '\\' || (next != 'n' && next != 't' && next != '\\')) {
      result += text[i];
      continue;
    }
    result += next == 'n' ? '\n' : next == 't' ? '\t' : '\\';
    ++i;
  }
  return result;
}

Result<> describe_keys(Json& line, const std::vector<std::string>& keys, const std::string& text) {
  if (keys.empty() == text.empty())
    return fail("keys takes names of keys or --text; see eidolon keys --help");
  if (!text.empty()) {
    line["text"] = without_escapes(text);
  } else {
    line["keys"] = keys;
  }
  return {};
}

Result<int> whole_number(const std::string& word) {
  int value = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || end != word.data() + word.size())
    return fail("'{}' is not a whole number", word);
  return value;
}

Result<> describe_mouse(Json& line, const std::vector<std::string>& words) {
  const std::string& action = words.front();
  const size_t arguments = words.size() - 1;
  if ((action == "move" || action == "to") && arguments == 2) {
    line["x"] = EIDOLON_TRY(whole_number(words[1]));
    line["y"] = EIDOLON_TRY(whole_number(words[2]));
    if (action == "to") line["absolute"] = true;
  } else if (action == "wheel" && arguments == 1) {
    line["wheel"] = EIDOLON_TRY(whole_number(words[1]));
  } else if (action == "click" && arguments == 0) {
    line["click"] = "left";
  } else if ((action == "click" || action == "press" || action == "release") && arguments == 1) {
    line[action] = words[1];
  } else {
    return fail("mouse takes move DX DY, to X Y, click [BUTTON], press BUTTON, release BUTTON or wheel N");
  }
  return {};
}

}  // namespace

CLI::App* AskOptions::add(CLI::App& app, const char* name, const char* description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("--name", name_, "which machine; may be left out if only one is running")
      ->type_name("NAME");
  commands_.push_back(command);
  return command;
}

void AskOptions::add_keys(CLI::App& app) {
  CLI::App* keys = add(app, "keys", "Press keys on a machine's keyboard");
  keys->add_option("KEY", keys_, "keys pressed together, as ctrl-alt-delete, one after the other");
  keys->add_option("--text", text_, "type this as on a US keyboard; \\n is the Enter key")->type_name("TEXT");
  keys->footer(R"(Examples:
  eidolon keys ctrl-alt-delete
  eidolon keys --name web --text "root\n"
  eidolon keys alt-f2 enter)");
}

void AskOptions::add_mouse(CLI::App& app) {
  CLI::App* mouse = add(app, "mouse", "Move a machine's mouse, or press its buttons");
  mouse
      ->add_option(
          "ACTION", mouse_,
          "move DX DY, to X Y (pixels of the screen), click [BUTTON], press BUTTON, release BUTTON, or wheel "
          "N (away from you)")
      ->required();
}

AskOptions::AskOptions(CLI::App& app) {
  CLI::App* screenshot = add(app, "screenshot", "Write what a machine's screen shows into a PNG file");
  screenshot->add_option("FILE", file_, "the file")->required();
  add_keys(app);
  add_mouse(app);
  CLI::App* snapshot = add(app, "snapshot", "Write a machine's whole state into a file, for eidolon restore");
  snapshot->add_option("FILE", file_, "the file")->required();
  snapshot->add_flag("--compress", compress_, "a smaller file, from which a restore takes longer");
  snapshot->add_flag("--stop", stop_,
                     "the machine ends there, so that its disks stay as the snapshot knows them");
  snapshot->add_flag(
      "--track", track_,
      "from then on what the guest writes is known, so that the next one can be --since this one");
  snapshot
      ->add_option(
          "--since", since_,
          "write only what changed since the machine's last snapshot, which is in this file and stays needed")
      ->type_name("FILE");
  CLI::App* processors = add(app, "processors", "Say which processors a machine has, or add or remove one");
  processors->add_option("ACTION", action_, "add, or remove: the guest is asked to give one back");
  CLI::App* balloon = add(app, "balloon", "Say how much memory a guest keeps, or ask it to keep so much");
  balloon->add_option("SIZE", size_, "how much it is to keep: 256M, 1G, or a number of MiB");
  CLI::App* engine = add(app, "engine", "Say which engine runs a machine, or have another one go on with it");
  engine->add_option("ENGINE", action_, "auto, translate, kvm or step");
  add(app, "status", "Say what the running machines are doing");
  add(app, "stats", "Say what a machine's engine has counted");
  add(app, "powerdown", "Press a machine's power button: the guest switches itself off, if it wants to");
  add(app, "reset", "Press a machine's reset button");
  add(app, "pause", "Stop a machine's processor and clock");
  add(app, "resume", "Let a machine that was paused go on");
  add(app, "stop", "End a machine at once, as if its plug were pulled");
}

std::optional<Result<AskRequest>> AskOptions::read() const {
  for (const CLI::App* command : commands_) {
    if (!command->parsed()) continue;
    AskRequest request{.name = name_, .command = command->get_name(), .request = {}, .file = file_};
    if (!name_.empty()) {
      if (const auto valid = check_machine_name(name_); !valid) return std::unexpected(valid.error());
    }
    Json line = {{"command", request.command}};
    if (request.command == "keys") {
      if (const auto done = describe_keys(line, keys_, text_); !done) return std::unexpected(done.error());
    } else if (request.command == "mouse") {
      if (const auto done = describe_mouse(line, mouse_); !done) return std::unexpected(done.error());
    } else if (request.command == "snapshot") {
      line["file"] = std::filesystem::absolute(file_).lexically_normal().string();
      line["compress"] = compress_;
      line["stop"] = stop_;
      line["track"] = track_;
      if (!since_.empty()) line["since"] = std::filesystem::absolute(since_).lexically_normal().string();
    }
    if (!action_.empty()) line["action"] = action_;
    if (!size_.empty()) {
      const Result<uint64_t> bytes = parse_memory_size(size_, "the memory");
      if (!bytes) return std::unexpected(bytes.error());
      line["memory"] = *bytes;
    }
    request.request = line.dump(-1, ' ', false, Json::error_handler_t::replace);
    return request;
  }
  return std::nullopt;
}

}  // namespace eidolon::control
