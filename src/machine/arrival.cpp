#include "machine/arrival.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/try.h"
#include "migration/message.h"

namespace eidolon::machine {

using migration::Kind;

namespace {

/// The source says nothing while it waits for its guest.
constexpr int kRoundSeconds = 300;
/// Two hosts' times of day may differ, and a guest is not to be far ahead by that.
constexpr Nanoseconds kLongestSkip = 10'000'000'000;

uint64_t host_bytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

/// What can be known before the memory has come.
Result<> check_host(const MachineConfig& config) {
  for (const DiskConfig& disk : config.disks)
    if (disk.path.starts_with('/') && access(disk.path.c_str(), R_OK) != 0)
      return fail(
          "'{}' cannot be read where the machine is to go on ({}); put it where both can reach it, or say "
          "with "
          "receive --disk FROM=TO what it is called there",
          disk.path, std::strerror(errno));
  for (const PmemConfig& pmem : config.pmem)
    if (access(pmem.path.c_str(), pmem.read_only ? R_OK : R_OK | W_OK) != 0)
      return fail(
          "the persistent memory '{}' cannot be used where the machine is to go on ({}); put it where both "
          "can reach it",
          pmem.path, std::strerror(errno));
  return {};
}

/// They would be made anew if they were not there.
Result<> check_variables(const std::string& path) {
  if (path.empty() || access(path.c_str(), R_OK | W_OK) == 0) return {};
  return fail(
      "the machine's UEFI variables '{}' cannot be written where it is to go on ({}); put them where both "
      "can "
      "reach them, or say with receive --uefi-vars FILE what they are called there, and migrate with "
      "--copy-disks if they are to come along",
      path, std::strerror(errno));
}

Result<> rename(std::vector<DiskConfig>& disks, const std::vector<Arrival::Renamed>& names) {
  const std::vector<DiskConfig> there = disks;
  for (const Arrival::Renamed& name : names) {
    bool found = false;
    std::string known;
    for (size_t i = 0; i < disks.size(); ++i) {
      known += fmt::format("{}'{}'", known.empty() ? "" : ", ", there[i].path);
      if (there[i].path != name.from) continue;
      disks[i].path = name.to;
      found = true;
    }
    if (!found)
      return fail("the machine has no disk '{}', but {}; correct --disk FROM=TO where it is received",
                  name.from, known.empty() ? "none at all" : known);
  }
  return {};
}

Result<> rename(MachineConfig& config, const std::vector<Arrival::Renamed>& disks,
                const std::string& variables) {
  EIDOLON_TRY(rename(config.disks, disks));
  if (variables.empty()) return {};
  if (config.firmware.variables_path.empty())
    return fail("the machine has no UEFI variables in a file; leave out --uefi-vars where it is received");
  config.firmware.variables_path = variables;
  return {};
}

}  // namespace

Result<std::unique_ptr<Arrival>> Arrival::greet(std::unique_ptr<migration::Connection> connection,
                                                const std::vector<Renamed>& disks,
                                                const std::string& variables) {
  const migration::Message message = EIDOLON_TRY(migration::receive_message(*connection));
  migration::Hello hello = EIDOLON_TRY(migration::read_hello(message, host_bytes()));
  snapshot::FileReader file =
      EIDOLON_TRY(snapshot::FileReader::adopt(std::move(hello.description), "migration"));
  SavedMachine described = EIDOLON_TRY(SavedMachine::read(std::move(file)));
  if (const Result<> renamed = rename(described.config, disks, variables); !renamed) {
    (void)migration::send_refusal(*connection, renamed.error().message);
    return std::unexpected(renamed.error());
  }
  migration::PageReceiver memory = EIDOLON_TRY(migration::PageReceiver::create(std::move(hello.layout)));
  std::unique_ptr<Arrival> arrival(
      new Arrival(std::move(connection), std::move(described.config), std::move(memory)));
  for (const Renamed& disk : disks) arrival->given_disks_.push_back(disk.to);
  if (!variables.empty()) arrival->given_disks_.push_back(variables);
  if (const Result<> possible = arrival->prepare(described.media, hello.memory_may_follow); !possible) {
    arrival->refuse(possible.error());
    return std::unexpected(possible.error());
  }
  return arrival;
}

/// What can be known, and is needed, before anything comes.
Result<> Arrival::prepare(const nlohmann::json& disks, bool memory_may_follow) {
  EIDOLON_TRY(check_host(config_));
  disks_ = EIDOLON_TRY(CopiedDisks::open(disks, config_, given_disks_));
  EIDOLON_TRY(check_variables(config_.firmware.variables_path));
  if (memory_may_follow) faults_ = EIDOLON_TRY(migration::Userfault::create());
  return {};
}

void Arrival::refuse(const Error& error) {
  if (fetcher_ != nullptr)
    fetcher_->refuse(error.message);
  else
    (void)migration::send_refusal(*connection_, error.message);
}

Result<SavedMachine> Arrival::receive(EngineChoice engine) {
  if (faults_ && faults_->serves() == migration::Userfault::Serves::kProgram) {
    const EngineDecision decision = EIDOLON_TRY(decide_engine(engine, probe_kvm));
    if (decision.kind == EngineKind::kKvm)
      return fail(
          "KVM cannot wait for memory that follows later, as this user may not have it do so; set "
          "vm.unprivileged_userfaultfd to 1 on the host, or receive with --engine translate");
  }
  EIDOLON_TRY(migration::send_message(*connection_, Kind::kReady));
  migration::StateReceiver state = EIDOLON_TRY(migration::StateReceiver::create());
  migration::PageSet missing(memory_->layout());
  EIDOLON_TRY(take_all(state, missing));
  snapshot::FileReader file = EIDOLON_TRY(snapshot::FileReader::adopt(state.take_file(), "migration"));
  SavedMachine saved = EIDOLON_TRY(SavedMachine::read(std::move(file)));
  saved.memory = memory_;
  saved.given_disks = given_disks_;
  EIDOLON_TRY(CopiedDisks::finish(*std::exchange(disks_, std::nullopt)));
  if (missing.empty()) return saved;
  fetcher_ = EIDOLON_TRY(migration::PageFetcher::create(std::move(connection_), memory_->layout(),
                                                        std::move(missing), *std::move(faults_)));
  saved.fetcher = fetcher_;
  return saved;
}

Result<> Arrival::take_all(migration::StateReceiver& state, migration::PageSet& missing) {
  for (;;) {
    const migration::Message message = EIDOLON_TRY(migration::receive_message(*connection_, kRoundSeconds));
    if (message.kind == Kind::kDisk) {
      EIDOLON_TRY(disks_->take(message.payload));
    } else if (message.kind == Kind::kPages) {
      EIDOLON_TRY(memory_->take(message.payload));
    } else if (message.kind == Kind::kMissing && faults_) {
      EIDOLON_TRY(missing.take(message.payload, memory_->layout()));
    } else if (message.kind == Kind::kState) {
      EIDOLON_TRY(state.take(message.payload));
    } else if (message.kind == Kind::kStateEnd) {
      end_ = EIDOLON_TRY(state.finish(message.payload));
      return {};
    } else {
      return std::unexpected(migration::unexpected_message(message));
    }
  }
}

Result<> Arrival::take_ownership() {
  if (fetcher_ != nullptr) {
    fetcher_->announce_loaded();
    return {};
  }
  EIDOLON_TRY(migration::send_message(*connection_, Kind::kLoaded));
  if (const auto go = migration::expect(*connection_, Kind::kGo); !go)
    return fail("{}, so the machine goes on there", go.error().message);
  return {};
}

Result<> Arrival::take_over(Machine& machine) {
  EIDOLON_TRY(take_ownership());
  const Nanoseconds passed = migration::time_of_day() - end_.stopped_at;
  if (end_.paused)
    machine.start_paused();
  else
    machine.skip_time(std::clamp<Nanoseconds>(passed, 0, kLongestSkip));
  // Whether this is heard or not: it runs here now.
  if (fetcher_ != nullptr)
    fetcher_->announce_running();
  else
    (void)migration::send_message(*connection_, Kind::kRuns);
  return {};
}

}  // namespace eidolon::machine
