#include "control/session_options.h"

#include "base/try.h"
#include "control/gdb_server.h"
#include "control/ports.h"
#include "control/socket_path.h"
#include "machine/engine_choice.h"

namespace eidolon::control {

void describe_session(CLI::App& command, SessionText& text) {
  command.add_option("--engine", text.engine, "auto, translate, kvm or step; for developers: lockstep")
      ->type_name("ENGINE")
      ->capture_default_str();
  command
      .add_option("--irqchip", text.irqchip,
                  "who has the local APICs under KVM: user (the monitor), split (the kernel) or auto")
      ->type_name("WHO")
      ->capture_default_str();
  command
      .add_option(
          "--serial", text.serial,
          "where COM1 goes: stdio (the default, unless something else has the terminal), file:PATH or null")
      ->type_name("TARGET");
  command
      .add_option("--display", text.display,
                  "who sees the screen: none, terminal (its text modes, in this one), or vnc[:ADDRESS]:PORT "
                  "(127.0.0.1, 5900)")
      ->type_name("DISPLAY")
      ->capture_default_str();
  command
      .add_option("--name", text.name,
                  "the machine's name, by which eidolon status, screenshot and others find it")
      ->type_name("NAME");
  command
      .add_option("--control", text.control,
                  "listen for those commands on this Unix socket, not on the name's own")
      ->type_name("SOCKET");
  command
      .add_option(
          "--gdb", text.gdb,
          "listen for GDB there: unix:PATH, or tcp:HOST:PORT on this host; it attaches by target remote")
      ->type_name("PLACE");
  command.add_flag("--gdb-wait", text.gdb_wait, "do not run the first instruction before GDB says so");
  command.add_flag("--no-reboot", text.no_reboot,
                   "end with status 3 when the guest resets, instead of starting again");
  command.add_flag("--stats", text.statistics, "at the end, say what the engine counted");
  command.add_flag("--perf-map", text.perf_map,
                   "write /tmp/perf-PID.map, so that Linux perf can name guest code");
}

Result<> read_session(const SessionText& text, RunRequest& request) {
  request.machine.engine = EIDOLON_TRY(machine::parse_engine_choice(text.engine));
  request.machine.irqchip = EIDOLON_TRY(machine::parse_irqchip_choice(text.irqchip));
  request.display = EIDOLON_TRY(backend::parse_display_target(text.display));
  if (request.display.kind != backend::DisplayTarget::Kind::kNone && !request.machine.vga)
    return fail("--display has nothing to show with --vga none; leave one of them out");
  if (!text.name.empty()) EIDOLON_TRY(check_machine_name(text.name));
  request.name = text.name;
  request.control = text.control;
  if (!text.gdb.empty()) request.gdb = EIDOLON_TRY(parse_gdb_place(text.gdb));
  request.gdb_wait = text.gdb_wait;
  if (text.gdb_wait && !request.gdb) return fail("--gdb-wait waits for a debugger to come; add --gdb PLACE");
  if (request.gdb && request.machine.engine == machine::EngineChoice::kLockstep)
    return fail("--engine lockstep has to see each instruction run; use another engine with --gdb");
  const bool screen_here = request.display.kind == backend::DisplayTarget::Kind::kTerminal;
  const bool console_here = uses_terminal(request.machine.ports);
  if (screen_here && console_here)
    return fail("--display terminal and a console on stdio would share one terminal; lead one elsewhere");
  if (console_here && text.serial == "stdio")
    return fail("--serial stdio and a console on stdio would share one terminal; leave one of them out");
  if (screen_here && text.serial == "stdio")
    return fail("--serial stdio and --display terminal would share one terminal; leave one of them out");
  request.serial = EIDOLON_TRY(backend::parse_serial_target(!text.serial.empty()          ? text.serial
                                                            : screen_here || console_here ? "null"
                                                                                          : "stdio"));
  request.reboot = !text.no_reboot;
  request.statistics = text.statistics;
  request.perf_map = text.perf_map;
  const auto engine = request.machine.engine;
  if (text.perf_map && engine != machine::EngineChoice::kAuto && engine != machine::EngineChoice::kTranslate)
    return fail(
        "--perf-map is about translated code, and --engine {} is not about that; leave one of them out",
        text.engine);
  return {};
}

}  // namespace eidolon::control
