// A machine that moves here from another process: the other side of Migration.
#pragma once

#include <memory>

#include "backend/wakeup.h"
#include "base/result.h"
#include "machine/machine.h"
#include "machine/saved_machine.h"
#include "migration/connection.h"
#include "migration/state.h"

namespace eidolon::machine {

class Arrival {
 public:
  /// Hears which machine it is. What has connected may be anybody.
  static Result<std::unique_ptr<Arrival>> greet(std::unique_ptr<migration::Connection> connection);

  /// For its session; it may be refused.
  [[nodiscard]] const MachineConfig& config() const { return config_; }
  /// The other side is told why the machine cannot go on here, and goes on with it.
  void refuse(const Error& error);
  /// Takes memory and state, while the machine runs over there. To be restored.
  Result<SavedMachine> receive();
  /// `machine` is restored and everything it needs is there: it is this process's when this returns, and is
  /// to run. On failure it is not.
  Result<> take_over(Machine& machine);

 private:
  Arrival(std::unique_ptr<migration::Connection> connection, MachineConfig config,
          migration::PageReceiver memory)
      : connection_(std::move(connection)),
        config_(std::move(config)),
        memory_(std::make_shared<migration::PageReceiver>(std::move(memory))) {}

  std::unique_ptr<migration::Connection> connection_;
  const MachineConfig config_;
  std::shared_ptr<migration::PageReceiver> memory_;
  migration::StateEnd end_;
};

}  // namespace eidolon::machine
