// What of Machine is about moving to another process, and having moved here (migration.h, arrival.h).
#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "backend/terminal.h"
#include "base/try.h"
#include "machine/machine.h"
#include "machine/migration.h"
#include "machine/saved_machine.h"
#include "vhost/served_device.h"

namespace eidolon::machine {

namespace {

/// Whoever waits for memory that does not come any more would wait for ever, in the middle of anything, and
/// nobody may go on with other bytes than the guest's.
void end_at_once(const Error& error, bool ours) {
  constexpr int kFailed = 1;
  backend::leave_at_once(
      ours ? fmt::format(
                 "eidolon: the machine cannot go on, here or where it was, for a part of its memory has not "
                 "come and will not ({}); start it anew",
                 error.message)
           : fmt::format("eidolon: the machine has not moved here: {}, so it goes on there", error.message),
      kFailed);
}

}  // namespace

/// Or has moved.
bool Machine::moves() {
  const auto progress = migration();
  return progress && progress->state != MigrationProgress::State::kFailed;
}

Result<> Machine::migrate(const MigrationRequest& request) {
  if (moves()) return fail("the machine is moving already; eidolon migrate --cancel ends that");
  EIDOLON_TRY(check_memory_is_here());
  // Known before all of the memory was sent.
  if (config_.has_served()) return fail("{}", vhost::kCannotMove);
  std::lock_guard lock(migration_mutex_);
  migration_ = EIDOLON_TRY(Migration::start(*this, request));
  return {};
}

void Machine::cancel_migration() {
  std::lock_guard lock(migration_mutex_);
  if (migration_ != nullptr) migration_->cancel();
}

std::optional<MigrationProgress> Machine::migration() {
  std::lock_guard lock(migration_mutex_);
  return migration_ == nullptr ? std::nullopt : std::optional(migration_->progress());
}

bool Machine::while_all_stand(std::function<void()> task) {
  using namespace std::chrono_literals;
  const std::lock_guard alone(still_mutex_);
  const auto done = std::make_shared<std::promise<void>>();
  std::future<void> result = done->get_future();
  add_errand([task = std::move(task), done] {
    task();
    done->set_value();
  });
  while (result.wait_for(100ms) != std::future_status::ready) {
    std::lock_guard lock(ending_mutex_);
    if (!run_over_) continue;
    errands_.clear();  // nobody comes for them any more
    return result.wait_for(0ms) == std::future_status::ready;
  }
  std::lock_guard lock(ending_mutex_);
  return !ending_.has_value();
}

void Machine::log_writes(bool on) {
  memory_->log_writes(on);
  processors_.log_writes(on);
  if (!on) return;
  ++log_number_;
  protect_memory();
}

void Machine::collect_written(const std::function<void(uint64_t page)>& visit) {
  processors_.collect_writes();
  memory_->dirty_pages().take(visit);
  protect_memory();
}

/// No virtual TLB lets a page be written that is not marked.
void Machine::protect_memory() {
  for (size_t number = 0; number < processors_.size(); ++number) processors_[number].mmu.protect_all();
}

migration::MemoryLayout Machine::memory_layout() {
  migration::MemoryLayout layout;
  for (const std::span<uint8_t>& piece : own_memory())
    if (!piece.empty())
      layout.pieces.push_back(
          {.offset = static_cast<uint64_t>(piece.data() - memory_->bytes().data()), .length = piece.size()});
  return layout;
}

Result<> Machine::take_moved_memory(const SavedMachine& saved) {
  if (saved.memory->layout() != memory_layout())
    return fail(
        "this machine's memory would be laid out in another way; use the same version of Eidolon on both "
        "sides");
  EIDOLON_TRY(saved.memory->move_into(memory_->bytes()));
  if (saved.fetcher == nullptr) return {};
  memory_->set_arriving(true);
  EIDOLON_TRY(saved.fetcher->begin(
      memory_->bytes(), {.complete = [this] { memory_->set_arriving(false); }, .lost = end_at_once}));
  fetcher_ = saved.fetcher;
  return {};
}

Result<> Machine::check_memory_is_here() const {
  if (!memory_->arriving()) return {};
  return fail("a part of the machine's memory is still on its way from where it was; try again in a moment");
}

/// A guest counts a leap by multiplying what its counter has counted, and Linux's multipliers are good for 10
/// minutes.
Result<> Machine::catch_up(Nanoseconds time_of_day) {
  using namespace std::chrono_literals;
  static constexpr Nanoseconds kLeap = 240'000'000'000;
  static constexpr auto kBetween = 50ms;
  if (stopped_at_ == 0)
    return fail("the snapshot does not say when it was taken, as an older version has; leave out --catch-up");
  const Nanoseconds time = std::max<Nanoseconds>(time_of_day - stopped_at_, 0);
  skip_time(std::min(time, kLeap));
  if (time <= kLeap) return {};
  leaps_ = std::jthread([this, left = time - kLeap](const std::stop_token& stop) mutable {
    for (; left > 0 && !stop.stop_requested(); left -= kLeap) {
      std::this_thread::sleep_for(kBetween);
      const bool running = while_all_stand([this, leap = std::min(left, kLeap)] {
        const bool stood = stopped_tsc_.has_value();
        if (!stood) stop_time();
        skip_time(leap);
        if (!stood) start_time();
      });
      if (!running) return;
    }
  });
  return {};
}

void Machine::skip_time(Nanoseconds time) {
  if (kvm_) {
    kvm_->note_jump();
    for (size_t number = 0; number < processors_.size(); ++number)
      if (processors_[number].paravirt != nullptr) processors_[number].paravirt->tsc_changed();
  }
  clock_.pause_at(clock_.now() + time);
  // start_time() takes from the guest's counters what the host's has counted since it stopped: less of it.
  *stopped_tsc_ += static_cast<uint64_t>(time) / 1'000'000 * model_.tsc_khz() +
                   static_cast<uint64_t>(time) % 1'000'000 * model_.tsc_khz() / 1'000'000;
}

void Machine::start_paused() {
  std::lock_guard lock(ending_mutex_);
  pause_wanted_ = true;
  processors_.call_meeting();
}

}  // namespace eidolon::machine
