#include "control/command_line.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

#include "base/try.h"
#include "control/exit_status.h"
#include "control/memory_size.h"
#include "machine/engine_choice.h"

namespace eidolon::control {

namespace {

/// The options as they were typed.
struct RunText {
  std::string kernel, initrd, append;
  std::string memory = "512M";
  std::string cpu = "host";
  std::string engine = "auto";
  std::string serial = "stdio";
  bool no_reboot = false;
  bool statistics = false;
};

void describe_run(CLI::App& run, RunText& text) {
  run.add_option("--kernel", text.kernel, "Linux bzImage, vmlinux with a PVH note, or Multiboot 1 kernel")
      ->type_name("FILE")
      ->required();
  run.add_option("--initrd", text.initrd, "initial RAM disk, or the module of a Multiboot kernel")
      ->type_name("FILE");
  run.add_option("--append", text.append, "the kernel's command line")->type_name("TEXT");
  run.add_option("--memory", text.memory, "guest memory: 512M, 2G, or a number of MiB")
      ->type_name("SIZE")
      ->capture_default_str();
  run.add_option("--cpu", text.cpu, "processor model: host, x86-64-v2 or x86-64-v3")
      ->type_name("MODEL")
      ->capture_default_str();
  run.add_option("--engine", text.engine, "auto, translate or step; for developers: lockstep")
      ->type_name("ENGINE")
      ->capture_default_str();
  run.add_option("--serial", text.serial, "where COM1 goes: stdio, file:PATH or null")
      ->type_name("TARGET")
      ->capture_default_str();
  run.add_flag("--no-reboot", text.no_reboot,
               "end with status 3 when the guest resets, instead of starting again");
  run.add_flag("--stats", text.statistics, "at the end, say what the engine counted");
  run.footer(R"(Keys: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A sends Ctrl-A to the guest.

Exit status: 0 after the guest's power-off or Ctrl-A x; (value << 1) | 1 after a write to the debug-exit
port 0xf4; 3 after a reset or a triple fault under --no-reboot; 2 if the command line or a file is wrong;
1 if the host failed; 128 + number after a signal.

Examples:
  eidolon run --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
  eidolon run --kernel vmlinux --memory 2G --cpu x86-64-v3 --append "console=ttyS0 panic=-1" --no-reboot
  eidolon run --kernel test.elf --engine step --serial file:test.log)");
}

bool same_file(const std::string& one, const std::string& other) {
  std::error_code ignored;
  return !one.empty() && !other.empty() && std::filesystem::equivalent(one, other, ignored);
}

Result<RunRequest> read_run(const RunText& text) {
  RunRequest request;
  request.machine.kernel_path = text.kernel;
  if (!text.initrd.empty()) request.machine.initrd_path = text.initrd;
  request.machine.command_line = text.append;
  request.machine.memory_bytes = EIDOLON_TRY(parse_memory_size(text.memory));
  request.machine.cpu_model = text.cpu;
  request.machine.engine = EIDOLON_TRY(machine::parse_engine_choice(text.engine));
  request.serial = EIDOLON_TRY(backend::parse_serial_target(text.serial));
  request.reboot = !text.no_reboot;
  request.statistics = text.statistics;
  if (same_file(request.serial.path, text.kernel) || same_file(request.serial.path, text.initrd)) {
    return fail("--serial would overwrite '{}', which the guest is loaded from; name another file",
                request.serial.path);
  }
  return request;
}

/// CLI11's message as one sentence that says where to look.
std::string sentence(std::string message, const CLI::App& app) {
  while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  const bool run = app.got_subcommand("run");
  const bool check = app.got_subcommand("check");
  return message + "; see eidolon " + (run ? "run " : check ? "check " : "") + "--help";
}

}  // namespace

Request parse_command_line(std::span<const char* const> arguments) {
  RunText text;
  CheckRequest check_request;

  CLI::App app("Eidolon, an x86 virtual machine monitor in user space", "eidolon");
  app.set_version_flag("--version", "eidolon " EIDOLON_VERSION);
  app.footer(R"(Examples:
  eidolon run --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
  eidolon check
See eidolon run --help for the options of a machine.)");
  CLI::App* run = app.add_subcommand("run", "Run a virtual machine");
  describe_run(*run, text);
  CLI::App* check = app.add_subcommand("check", "Say what this host offers and which engine would be used");
  check->add_flag("--json", check_request.json, "as JSON");

  // CLI11 takes the last argument first.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::Success& asked) {  // help or version
    std::ostringstream output;
    std::ostringstream error;
    app.exit(asked, output, error);
    return Finished{.status = kExitOk, .output = output.str(), .error = {}};
  } catch (const CLI::ParseError& wrong) {
    return Finished{.status = kExitUsage, .output = {}, .error = sentence(wrong.what(), app)};
  }
  if (check->parsed()) return check_request;
  if (!run->parsed()) {
    return Finished{
        .status = kExitUsage, .output = {}, .error = "name a command, run or check; see eidolon --help"};
  }
  Result<RunRequest> request = read_run(text);
  if (!request) return Finished{.status = kExitUsage, .output = {}, .error = request.error().message};
  return *std::move(request);
}

}  // namespace eidolon::control
