#include "machine/arrival.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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
          "'{}' cannot be read where the machine is to go on ({}); put its disks where both can reach them",
          disk.path, std::strerror(errno));
  return {};
}

}  // namespace

Result<std::unique_ptr<Arrival>> Arrival::greet(std::unique_ptr<migration::Connection> connection) {
  const migration::Message message = EIDOLON_TRY(migration::receive_message(*connection));
  migration::Hello hello = EIDOLON_TRY(migration::read_hello(message, host_bytes()));
  snapshot::FileReader file =
      EIDOLON_TRY(snapshot::FileReader::adopt(std::move(hello.description), "migration"));
  SavedMachine described = EIDOLON_TRY(SavedMachine::read(std::move(file)));
  migration::PageReceiver memory = EIDOLON_TRY(migration::PageReceiver::create(std::move(hello.layout)));
  std::unique_ptr<Arrival> arrival(
      new Arrival(std::move(connection), std::move(described.config), std::move(memory)));
  if (const Result<> possible = check_host(arrival->config_); !possible) {
    arrival->refuse(possible.error());
    return std::unexpected(possible.error());
  }
  return arrival;
}

void Arrival::refuse(const Error& error) { (void)migration::send_refusal(*connection_, error.message); }

Result<SavedMachine> Arrival::receive() {
  EIDOLON_TRY(migration::send_message(*connection_, Kind::kReady));
  migration::StateReceiver state = EIDOLON_TRY(migration::StateReceiver::create());
  for (;;) {
    const migration::Message message = EIDOLON_TRY(migration::receive_message(*connection_, kRoundSeconds));
    if (message.kind == Kind::kPages) {
      EIDOLON_TRY(memory_->take(message.payload));
    } else if (message.kind == Kind::kState) {
      EIDOLON_TRY(state.take(message.payload));
    } else if (message.kind == Kind::kStateEnd) {
      end_ = EIDOLON_TRY(state.finish(message.payload));
      break;
    } else {
      return fail("what the other side says is no migration of this version of Eidolon");
    }
  }
  snapshot::FileReader file = EIDOLON_TRY(snapshot::FileReader::adopt(state.take_file(), "migration"));
  SavedMachine saved = EIDOLON_TRY(SavedMachine::read(std::move(file)));
  saved.memory = memory_;
  return saved;
}

Result<> Arrival::take_over(Machine& machine) {
  EIDOLON_TRY(migration::send_message(*connection_, Kind::kLoaded));
  if (const auto go = migration::expect(*connection_, Kind::kGo); !go)
    return fail("{}, so the machine goes on there", go.error().message);
  const Nanoseconds passed = migration::time_of_day() - end_.stopped_at;
  if (end_.paused)
    machine.start_paused();
  else
    machine.skip_time(std::clamp<Nanoseconds>(passed, 0, kLongestSkip));
  // Whether this is heard or not: it runs here now.
  (void)migration::send_message(*connection_, Kind::kRuns);
  return {};
}

}  // namespace eidolon::machine
