#include "control/command_line.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <utility>

#include "control/ask_options.h"
#include "control/clone_options.h"
#include "control/exit_status.h"
#include "control/explain_options.h"
#include "control/image_options.h"
#include "control/migrate_options.h"
#include "control/restore_options.h"
#include "control/run_options.h"

namespace eidolon::control {

namespace {

/// CLI11's message as one sentence that says where to look.
std::string sentence(std::string message, const CLI::App& app) {
  while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::string command;
  for (const CLI::App* given : app.get_subcommands()) command = given->get_name() + " ";
  return message + "; see eidolon " + command + "--help";
}

Request wrong(std::string message) {
  return Finished{.status = kExitUsage, .output = {}, .error = std::move(message)};
}

template <typename Wanted>
Request finish(Result<Wanted> request) {
  if (!request) return wrong(std::move(request.error().message));
  return *std::move(request);
}

}  // namespace

Request parse_command_line(std::span<const char* const> arguments) {
  RunOptions run;
  ExplainOptions explain;
  CheckRequest check_request;
  SwitchRequest switch_request;
  ImageOptions image;

  CLI::App app("Eidolon, an x86 virtual machine monitor in user space", "eidolon");
  app.set_version_flag("--version", "eidolon " EIDOLON_VERSION);
  app.footer(R"(Examples:
  eidolon run --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
  eidolon check
  eidolon image create --size 20G disk.qcow2
See eidolon run --help for the options of a machine.)");
  run.describe(app);
  explain.describe(app);
  CLI::App* check = app.add_subcommand("check", "Say what this host offers and which engine would be used");
  check->add_flag("--json", check_request.json, "as JSON");

  CLI::App* plug = app.add_subcommand(
      "switch", "Join machines: a switch for all that run with --net switch=SOCKET, until it is interrupted");
  plug->add_option("socket", switch_request.path, "a Unix socket, which is made")
      ->required()
      ->type_name("SOCKET");

  RestoreOptions restore;
  restore.describe(app);
  image.describe(app);
  CloneOptions clone;
  clone.describe(app);
  MigrateOptions migrate;
  migrate.describe(app);
  ReceiveOptions receive;
  receive.describe(app);
  const AskOptions ask(app);

  // CLI11 takes the last argument first.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::Success& asked) {  // help or version
    std::ostringstream output;
    std::ostringstream error;
    app.exit(asked, output, error);
    return Finished{.status = kExitOk, .output = output.str(), .error = {}};
  } catch (const CLI::ParseError& problem) {
    return wrong(sentence(problem.what(), app));
  }
  if (check->parsed()) return check_request;
  if (plug->parsed()) return switch_request;
  if (image.parsed()) return finish(image.read());
  if (explain.parsed()) return finish(explain.read());
  if (auto request = ask.read()) return finish(*std::move(request));
  if (restore.parsed()) return finish(restore.read());
  if (clone.parsed()) return finish(clone.read());
  if (migrate.parsed()) return finish(migrate.read());
  if (receive.parsed()) return finish(receive.read());
  if (run.parsed()) return finish(run.read());
  return wrong("name a command, such as run; see eidolon --help");
}

}  // namespace eidolon::control
