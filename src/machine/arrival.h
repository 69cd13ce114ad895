// A machine that moves here from another process: the other side of Migration.
#pragma once

#include <memory>
#include <optional>

#include "backend/wakeup.h"
#include "base/result.h"
#include "machine/copied_disks.h"
#include "machine/machine.h"
#include "machine/saved_machine.h"
#include "migration/connection.h"
#include "migration/page_fetcher.h"
#include "migration/state.h"

namespace eidolon::machine {

class Arrival {
 public:
  /// What is called `from` where the machine comes from is `to` here, and may be overwritten.
  struct Renamed {
    std::string from, to;
  };
  /// Hears which machine it is. What has connected may be anybody.
  /// `variables` is the file with UEFI's variables, which may be overwritten too; empty: it is called as
  /// there.
  static Result<std::unique_ptr<Arrival>> greet(std::unique_ptr<migration::Connection> connection,
                                                const std::vector<Renamed>& disks,
                                                const std::string& variables);

  /// For its session; it may be refused.
  [[nodiscard]] const MachineConfig& config() const { return config_; }
  /// The other side is told why the machine cannot go on here, and goes on with it.
  void refuse(const Error& error);
  /// Takes memory and state, while the machine runs over there. To be restored, under `engine`.
  Result<SavedMachine> receive(EngineChoice engine);
  /// `machine` is restored and everything it needs is there: it is this process's when this returns, and is
  /// to run. On failure it is not.
  Result<> take_over(Machine& machine);

 private:
  Arrival(std::unique_ptr<migration::Connection> connection, MachineConfig config,
          migration::PageReceiver memory)
      : connection_(std::move(connection)),
        config_(std::move(config)),
        memory_(std::make_shared<migration::PageReceiver>(std::move(memory))) {}
  Result<> prepare(const nlohmann::json& disks, bool memory_may_follow);
  Result<> take_all(migration::StateReceiver& state, migration::PageSet& missing);
  Result<> take_ownership();

  std::unique_ptr<migration::Connection> connection_;  ///< null: it is the fetcher's
  const MachineConfig config_;
  std::shared_ptr<migration::PageReceiver> memory_;
  std::vector<std::string> given_disks_;        ///< those that may be overwritten, as they are called here
  std::optional<CopiedDisks> disks_;            ///< until all has come
  std::optional<migration::Userfault> faults_;  ///< nothing: all memory comes before the machine runs
  std::shared_ptr<migration::PageFetcher> fetcher_;
  migration::StateEnd end_;
};

}  // namespace eidolon::machine
