// What of Machine is about moving to another process, and having moved here (migration.h, arrival.h).
#include <future>

#include "base/try.h"
#include "machine/machine.h"
#include "machine/migration.h"
#include "machine/saved_machine.h"

namespace eidolon::machine {

/// Or has moved.
bool Machine::moves() {
  const auto progress = migration();
  return progress && progress->state != MigrationProgress::State::kFailed;
}

Result<> Machine::migrate(const MigrationRequest& request) {
  if (moves()) return fail("the machine is moving already; eidolon migrate --cancel ends that");
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

Result<> Machine::take_moved_memory(migration::PageReceiver& memory) {
  if (memory.layout() != memory_layout())
    return fail(
        "this machine's memory would be laid out in another way; use the same version of Eidolon on both "
        "sides");
  return memory.move_into(memory_->bytes());
}

void Machine::skip_time(Nanoseconds time) {
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
