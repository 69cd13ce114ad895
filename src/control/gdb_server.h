// Where GDB attaches to a machine (docs/debugging.md): a socket, one client at a time, and its packets. What
// they mean is in gdb_session.h.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"
#include "control/gdb_machine.h"
#include "migration/listener.h"
#include "migration/place.h"

namespace eidolon::control {

/// unix:PATH or tcp:HOST:PORT, where only this host reaches it.
[[nodiscard]] Result<migration::Place> parse_gdb_place(std::string_view text);

class GdbServer {
 public:
  /// `waits`: the first machine stands until a debugger lets it go on.
  static Result<std::unique_ptr<GdbServer>> create(const migration::Place& place, bool waits);
  ~GdbServer();
  GdbServer(const GdbServer&) = delete;
  GdbServer& operator=(const GdbServer&) = delete;

  /// The machine that is about to run; a debugger that is attached is not told that it is another one.
  void begin(machine::Machine& machine);
  /// It has ended, or is about to.
  void end();

 private:
  class Client;
  GdbServer(migration::Listener listener, backend::Wakeup wake, bool waits);
  void serve();
  void accept_client();

  const migration::Listener listener_;
  const backend::Wakeup wake_;
  std::mutex mutex_;  ///< of what follows; held while packets are carried out
  bool waits_;
  bool closing_ = false;
  GdbMachine machine_;
  std::unique_ptr<Client> client_;
  std::thread thread_;
};

}  // namespace eidolon::control
