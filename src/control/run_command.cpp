#include "control/run_command.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <thread>

#include "backend/console.h"
#include "backend/log_file.h"
#include "backend/terminal_screen.h"
#include "backend/vnc.h"
#include "base/try.h"
#include "control/control_server.h"
#include "control/exit_status.h"
#include "control/gdb_server.h"
#include "control/ports.h"
#include "control/share_option.h"
#include "control/socket_path.h"
#include "control/vsock_option.h"
#include "engine/translate/perf_map.h"
#include "machine/engine_choice.h"
#include "machine/machine.h"
#include "migration/state.h"

namespace eidolon::control {

namespace {

using backend::Console;
using machine::Ending;
using machine::Machine;

int say_error(const Error& error, int status) {
  backend::say("eidolon: " + error.message);
  return status;
}

void say_report(const std::string& text) {
  backend::say_lines(text.empty() ? "eidolon: this engine counts nothing; the translate engine does" : text);
}

/// Who looks at the machine and operates it from outside, besides its console.
struct Onlookers {
  ControlServer control;
  std::unique_ptr<backend::Vnc> vnc;
  std::unique_ptr<backend::TerminalScreen> terminal;
  std::unique_ptr<GdbServer> gdb;

  void set_machine(Machine* machine) {
    control.set_machine(machine);
    const auto* vga = machine == nullptr ? nullptr : machine->vga();
    auto* input = machine == nullptr ? nullptr : &machine->input();
    if (vnc) vnc->show(vga, input);
    if (terminal) terminal->show(vga, input);
  }
};

/// What serving one machine, from its start to its end, came to.
struct Served {
  Ending ending;
  Console::Left left;
};

/// The processor runs on a thread of its own while this one serves the user.
Served serve(Machine& machine, Console& console, const OpenPorts& ports, Onlookers& onlookers) {
  machine.set_input_room([&console] { console.wake(); });
  if (auto* port = ports.terminal()) {
    console.set_receiver([port](std::span<const uint8_t> bytes) { return port->receive(bytes); });
  } else if (onlookers.terminal) {
    console.set_receiver([&onlookers](std::span<const uint8_t> bytes) {
      onlookers.terminal->type(bytes);
      return bytes.size();
    });
  } else {
    console.set_receiver([&machine](std::span<const uint8_t> bytes) { return machine.receive(bytes); });
  }

  console.set_report_request([&machine] { machine.ask_report(say_report); });

  if (onlookers.gdb) onlookers.gdb->begin(machine);
  Ending ending{.kind = Ending::Kind::kStopped};
  std::atomic<bool> ended{false};
  std::thread processor([&] {
    ending = machine.run();
    ended.store(true);
    console.wake();
  });
  onlookers.set_machine(&machine);
  const Console::Left left = console.serve([&ended] { return ended.load(); });
  if (left.why != Console::Leave::kDone) {
    console.output().release();  // the processor may be waiting for a reader that will not come
    machine.stop();
  }
  onlookers.set_machine(nullptr);
  if (onlookers.gdb) onlookers.gdb->end();
  processor.join();
  console.set_receiver(nullptr);
  console.set_report_request(nullptr);
  return {.ending = ending, .left = left};
}

int status_of(const Served& served) {
  switch (served.left.why) {
    case Console::Leave::kDone:
      return exit_status(served.ending);
    case Console::Leave::kQuit:
      return kExitOk;
    case Console::Leave::kSignal:
      return kExitSignal + served.left.signal;
    case Console::Leave::kOutputGone:
      return kExitHostError;
  }
  return kExitHostError;
}

bool is_reset(const Ending& ending) {
  return ending.kind == Ending::Kind::kReset || ending.kind == Ending::Kind::kTripleFault;
}

std::string_view reset_words(const Ending& ending) {
  return ending.kind == Ending::Kind::kReset ? "the guest reset the machine"
                                             : "the guest's processor triple-faulted";
}

Result<> open_doors(Onlookers& onlookers, const RunRequest& request, Console& console) {
  if (request.display.kind == backend::DisplayTarget::Kind::kTerminal) {
    onlookers.terminal = EIDOLON_TRY(backend::TerminalScreen::create());
    auto* screen = onlookers.terminal.get();
    console.set_painter({.set_active = [screen](bool active) { screen->set_active(active); },
                         .notice = [screen](std::string_view text) { screen->notice(text); }});
  }
  if (request.display.kind == backend::DisplayTarget::Kind::kVnc)
    onlookers.vnc =
        EIDOLON_TRY(backend::Vnc::create(request.display, request.name.empty() ? "Eidolon" : request.name));
  if (request.gdb) onlookers.gdb = EIDOLON_TRY(GdbServer::create(*request.gdb, request.gdb_wait));
  if (request.name.empty() && request.control.empty()) return {};
  const std::string path = request.control.empty() ? EIDOLON_TRY(socket_path(request.name)) : request.control;
  return onlookers.control.listen(path);
}

}  // namespace

int run_command(const RunRequest& request) {
  // Whoever sends a machine goes on with it if it cannot run here.
  const auto complain = [&request](const Error& error, int status) {
    if (request.arrival) request.arrival->refuse(error);
    return say_error(error, status);
  };
  machine::MachineConfig config = request.machine;
  config.sample_time = request.statistics;
  if (request.perf_map) {
    auto map = engine::translate::PerfMap::create(engine::translate::PerfMap::default_path());
    if (!map) return complain(map.error(), kExitUsage);
    config.block_observer = *std::move(map);
  }
  const bool port_here = uses_terminal(config.ports);
  Result<std::unique_ptr<Console>> console = Console::create(
      port_here ? backend::SerialTarget{} : request.serial,
      request.display.kind == backend::DisplayTarget::Kind::kTerminal ? backend::Screen::kOwn
                                                                      : backend::Screen::kShared);
  if (!console) return complain(console.error(), kExitUsage);
  Console& user = **console;
  std::unique_ptr<backend::Output> serial;  // where the terminal is a port's
  const auto output = [&](std::span<const uint8_t> bytes) {
    (serial ? *serial : user.output()).write(bytes);
  };
  Result<OpenPorts> ports = OpenPorts::open(config.ports, user);
  if (!ports) return complain(ports.error(), kExitUsage);
  const auto sockets = open_vsock(config.vsock);
  if (!sockets) return complain(sockets.error(), kExitUsage);
  if (const Result<> opened = open_shares(config.shares); !opened)
    return complain(opened.error(), kExitUsage);

  Result<backend::LogFile> log = backend::LogFile::open(request.firmware_log);
  if (!log) return complain(log.error(), kExitUsage);
  if (!request.firmware_log.empty()) config.firmware.log = [&log](uint8_t byte) { log->put(byte); };
  // Not the machine's, so that a reset of the guest leaves them as they are.
  if (const Result<> opened = machine::open_variables(config.firmware); !opened)
    return complain(opened.error(), kExitUsage);

  Result<std::unique_ptr<Machine>> machine = request.snapshot
                                                 ? Machine::restore(*request.snapshot, config, output)
                                                 : Machine::create(config, output);
  if (!machine) return complain(machine.error(), kExitUsage);
  // After the machine, so that a command line with a mistake in it empties no file.
  if (const Result<> opened = user.open_output(); !opened) return complain(opened.error(), kExitUsage);
  if (port_here) {
    auto other = backend::open_other_output(request.serial);
    if (!other) return complain(other.error(), kExitUsage);
    serial = *std::move(other);
  }
  log->start();
  backend::say(fmt::format("eidolon: engine {}: {}", engine_name((*machine)->engine().kind),
                           (*machine)->engine().reason));

  Onlookers onlookers{
      .control = ControlServer(request.name), .vnc = nullptr, .terminal = nullptr, .gdb = nullptr};
  if (const Result<> open = open_doors(onlookers, request, user); !open)
    return complain(open.error(), kExitUsage);

  if (request.arrival) {
    if (const Result<> taken = request.arrival->take_over(**machine); !taken)
      return say_error(taken.error(), kExitHostError);
  }
  if (request.catch_up) {
    if (const Result<> caught_up = (*machine)->catch_up(migration::time_of_day()); !caught_up)
      return complain(caught_up.error(), kExitUsage);
  }
  ports->start();
  if (*sockets) (*sockets)->start();
  for (;;) {
    const Served served = serve(**machine, user, *ports, onlookers);
    const bool disagreement = served.ending.kind == Ending::Kind::kDisagreement;
    if (request.statistics || disagreement) say_report((*machine)->engine_report());
    const bool reset = served.left.why == Console::Leave::kDone && is_reset(served.ending);
    if (reset) {
      backend::say(
          fmt::format("eidolon: {}{}", reset_words(served.ending), request.reboot ? "; starting again" : ""));
    }
    if (!reset || !request.reboot) {
      user.restore_terminal();
      return status_of(served);
    }
    // A fresh machine from the same files: nothing of the last run can be left over.
    machine->reset();
    machine = Machine::create(config, output);
    if (!machine) {
      user.restore_terminal();
      return say_error(machine.error(), kExitHostError);
    }
  }
}

}  // namespace eidolon::control
