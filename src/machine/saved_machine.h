// A snapshot as a machine that can be made of it. What is in which section:
//
//   machine         JSON: the configuration, and facts about the disks
//   clock, cpuid    the machine's time; what the guest was told of its processor
//   cpu0, cpu1 ...  the processors
//   kvm-clock       what the paravirtual clock counts from
//   part/NAME       everything else with a state (Machine::parts)
//   memory          and what it leads to
//   written/NAME    of disks whose contents end with the machine
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "base/state_stream.h"
#include "cpu/cpuid_model.h"
#include "machine/machine_config.h"
#include "migration/page_fetcher.h"
#include "migration/pages.h"
#include "snapshot/file_reader.h"
#include "snapshot/file_writer.h"
#include "snapshot/memory_changes.h"

namespace eidolon::machine {

struct SavedMachine {
  snapshot::FileReader file;
  MachineConfig config;
  nlohmann::json media;
  std::vector<snapshot::FileReader> bases = {};  ///< of a differential one (snapshot::open_bases)
  bool changed_disks = false;                    ///< disks that were written since are taken nevertheless
  std::vector<std::string> given_disks = {};     ///< and these, which are other files than before
  /// Memory that came otherwise, by a migration; null: it is in the file.
  std::shared_ptr<migration::PageReceiver> memory = nullptr;
  /// Of that memory, what comes later; null: all is there.
  std::shared_ptr<migration::PageFetcher> fetcher = nullptr;

  /// Reads what says which machine it is.
  static Result<SavedMachine> open(const std::string& path);
  static Result<SavedMachine> read(snapshot::FileReader file);
};

Result<> write_description(snapshot::FileWriter& to, const MachineConfig& config,
                           const nlohmann::json& media);

Result<> write_parts(snapshot::FileWriter& to, std::span<Stateful* const> parts);
/// In their order. The version of each has to be that of this program's.
Result<> read_parts(const snapshot::FileReader& from, std::span<Stateful* const> parts);

/// What a machine's clock showed when it was stopped, and the host's time of day then.
struct SavedClock {
  Nanoseconds now = 0;
  Nanoseconds time_of_day = 0;  ///< since 1970; 0: an older version wrote it
};
Result<> write_clock(snapshot::FileWriter& to, const SavedClock& clock);
[[nodiscard]] Result<SavedClock> read_clock(const snapshot::FileReader& from);

}  // namespace eidolon::machine
