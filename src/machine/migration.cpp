#include "machine/migration.h"

#include <algorithm>

#include "backend/terminal.h"
#include "base/try.h"
#include "machine/saved_machine.h"
#include "migration/message.h"
#include "migration/state.h"
#include "snapshot/memory_index.h"

namespace eidolon::machine {

using namespace std::chrono_literals;
using migration::Kind;
using migration::PageSender;
using snapshot::kPageBytes;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// What the other side needs to put a machine together.
constexpr int kLoadingSeconds = 120;
/// How long the network may be away while memory follows: giving up would be the guest's end.
constexpr int kFollowingSeconds = 300;
/// How long its disks may be locked by an other side that has failed and ends.
constexpr auto kTakingBack = 10s;
/// In which a guest that is slowed down stands for its part.
constexpr auto kSlowPeriod = 50ms;
constexpr unsigned kFirstSlowing = 20, kMoreSlowing = 20, kMostSlowing = 95;
/// How many rounds may bring nothing before the guest is slowed down, or slowed down more.
constexpr unsigned kRoundsBeforeSlowing = 2;
/// The whole is over, and whoever follows it has this long to hear of it from this process.
constexpr auto kLastWords = 2s;

double seconds_since(SteadyClock::time_point from) {
  return std::chrono::duration<double>(SteadyClock::now() - from).count();
}

}  // namespace

Result<std::unique_ptr<Migration>> Migration::start(Machine& machine, const MigrationRequest& request) {
  backend::Wakeup cancelled = EIDOLON_TRY(backend::Wakeup::create());
  std::unique_ptr<Migration> migration(new Migration(machine, request, std::move(cancelled)));
  migration->began_ = SteadyClock::now();
  migration->thread_ = std::thread([self = migration.get()] { self->thread_main(); });
  return migration;
}

Migration::~Migration() {
  cancel();
  if (thread_.joinable()) thread_.join();
}

void Migration::cancel() { cancelled_.raise(); }

MigrationProgress Migration::progress() {
  std::lock_guard lock(mutex_);
  if (progress_.state == MigrationProgress::State::kMoving) {
    progress_.seconds = seconds_since(began_);
  } else {
    told_ = true;
    seen_.notify_all();
  }
  return progress_;
}

template <typename Change>
void Migration::report(const Change& change) {
  std::lock_guard lock(mutex_);
  change(progress_);
}

void Migration::thread_main() {
  using State = MigrationProgress::State;
  const Result<> moved = move();
  disks_.reset();       // before another move may begin, which watches them too
  connection_.reset();  // the other side need not wait any more
  std::unique_lock lock(mutex_);
  progress_.seconds = seconds_since(began_);
  progress_.state = moved ? State::kDone : State::kFailed;
  if (!moved) progress_.error = moved.error().message;
  if (!moved && !gone_) {
    backend::say("eidolon: the machine has not moved: " + progress_.error);
    return;
  }
  seen_.wait_for(lock, kLastWords, [this] { return told_; });
  lock.unlock();
  backend::say(moved ? "eidolon: the machine goes on at " + to_string(request_.to)
                     : "eidolon: the machine has ended: " + moved.error().message);
  // While it is held, nobody has it go on here.
  machine_.end({.kind = moved ? Ending::Kind::kMoved : Ending::Kind::kLost});
  still_.reset();
}

Result<> Migration::move() {
  if (machine_.engine().kind == EngineKind::kLockstep)
    return fail(
        "--engine lockstep has to see a guest from its start to its end; a machine that moves needs another");
  EIDOLON_TRY(greet());
  Result<> moved = copy_while_running();
  if (moved) moved = hand_over();
  if (moved || gone_) return moved;
  still_.reset();
  // An engine need not look after writes any more.
  (void)machine_.while_all_stand([this] { machine_.log_writes(false); });
  return moved;
}

/// The other side knows which machine comes, and is ready for its memory.
Result<> Migration::greet() {
  std::optional<migration::Tls> tls;
  if (!request_.tls.empty())
    tls.emplace(EIDOLON_TRY(migration::Tls::load(request_.tls, migration::Tls::Side::kConnects)));
  connection_ = EIDOLON_TRY(migration::Connection::connect(request_.to, tls ? &*tls : nullptr, cancelled_));
  layout_ = machine_.memory_layout();
  report([this](MigrationProgress& progress) { progress.memory_bytes = layout_.bytes(); });
  sender_ = std::make_unique<PageSender>(*connection_, machine_.memory_->bytes());
  snapshot::FileWriter description = EIDOLON_TRY(snapshot::FileWriter::create_in_memory("migration"));
  if (request_.copy_disks)
    disks_ = std::make_unique<DiskCopy>(*connection_, machine_.devices_.media(), [this]() -> Result<> {
      report([this](MigrationProgress& progress) {
        progress.disk_bytes = disks_->sent_bytes();
        progress.left_bytes = disks_->left_bytes() + layout_.bytes();
      });
      return check_on_the_way();
    });
  const auto coming = disks_ ? disks_->description() : nlohmann::json::array();
  EIDOLON_TRY(write_description(description, machine_.config_, coming));
  const FileDescriptor file = EIDOLON_TRY(description.finish_in_memory());
  EIDOLON_TRY(migration::send_hello(*connection_, layout_, file.get(), request_.post_copy));
  EIDOLON_TRY(migration::expect(*connection_, Kind::kReady));
  return {};
}

/// Until what is left can be sent while the guest stands.
Result<> Migration::copy_while_running() {
  if (!machine_.while_all_stand([this] { machine_.log_writes(true); })) return fail("the machine has ended");
  if (disks_) EIDOLON_TRY(copy_disks());
  Pages pages = all_pages();
  later_ = request_.post_copy && request_.most_rounds == 0;
  if (later_) {
    left_ = std::move(pages);
    return {};
  }
  EIDOLON_TRY(send(pages, PageSender::Zeros::kLeaveOut));
  unsigned in_vain = 0;
  uint64_t left = pages.size() * kPageBytes;
  for (unsigned round = 1;; ++round) {
    const uint64_t before = left;
    if (disks_) EIDOLON_TRY(disks_->send_written());
    EIDOLON_TRY(take_written(pages));
    left = pages.size() * kPageBytes + (disks_ ? disks_->left_bytes() : 0);
    const double standing = static_cast<double>(left) / std::max(bytes_per_second_, 1.0);
    if (standing <= std::chrono::duration<double>(request_.down_time).count())
      return send(pages, PageSender::Zeros::kTell);
    in_vain = left > before / 2 ? in_vain + 1 : 0;
    later_ = request_.post_copy && (round >= request_.most_rounds || in_vain >= kRoundsBeforeSlowing);
    if (later_) {
      left_ = std::move(pages);
      return {};
    }
    if (request_.converge && !request_.post_copy && in_vain >= kRoundsBeforeSlowing) {
      in_vain = 0;
      slowed_percent_ =
          slowed_percent_ == 0 ? kFirstSlowing : std::min(slowed_percent_ + kMoreSlowing, kMostSlowing);
    }
    EIDOLON_TRY(send(pages, PageSender::Zeros::kTell));
  }
}

/// All of them, and then what is written meanwhile for as long as that becomes less.
Result<> Migration::copy_disks() {
  EIDOLON_TRY(disks_->send_all());
  for (uint64_t before = ~uint64_t{0}, left = disks_->left_bytes(); left < before / 2 && left != 0;) {
    EIDOLON_TRY(disks_->send_written());
    before = std::exchange(left, disks_->left_bytes());
  }
  return {};
}

Result<> Migration::check_on_the_way() {
  slow_down();
  // It says nothing now but what has gone wrong.
  if (connection_->readable()) EIDOLON_TRY(migration::expect(*connection_, Kind::kReady));
  return cancelled_.raised() ? Result<>(fail("it was cancelled")) : Result<>();
}

Migration::Pages Migration::all_pages() const {
  Pages pages;
  for (const migration::Piece& piece : layout_.pieces)
    for (uint64_t page = piece.offset / kPageBytes; page < (piece.offset + piece.length) / kPageBytes; ++page)
      pages.push_back(page);
  return pages;
}

Result<> Migration::send(const Pages& pages, PageSender::Zeros zeros) {
  const auto from = SteadyClock::now();
  const uint64_t sent_before = sender_->sent_bytes();
  for (size_t i = 0; i < pages.size(); ++i) {
    EIDOLON_TRY(sender_->add(pages[i], zeros));
    if (i % migration::kMostPages != 0) continue;
    EIDOLON_TRY(check_on_the_way());
    report([&](MigrationProgress& progress) {
      progress.sent_bytes = sender_->sent_bytes();
      progress.left_bytes = (pages.size() - i) * kPageBytes;
      progress.slowed_percent = slowed_percent_;
    });
  }
  EIDOLON_TRY(sender_->flush());
  const uint64_t sent = sender_->sent_bytes() - sent_before;
  // Little says nothing of how fast much is sent.
  constexpr uint64_t kTelling = 4 << 20;
  if (sent >= kTelling || bytes_per_second_ == 0)
    bytes_per_second_ = static_cast<double>(sent) / seconds_since(from);
  report([&](MigrationProgress& progress) {
    progress.sent_bytes = sender_->sent_bytes();
    progress.left_bytes = 0;
    ++progress.rounds;
  });
  return {};
}

Result<> Migration::take_written(Pages& pages) {
  pages.clear();
  return machine_.while_all_stand([this, &pages] { collect_written(pages); }) ? Result<>()
                                                                              : fail("the machine has ended");
}

/// While all processors stand, so that no page is written between its mark and its protection.
void Migration::collect_written(Pages& pages) {
  pages.clear();
  machine_.collect_written([this, &pages](uint64_t page) {
    if (layout_.has_page(page)) pages.push_back(page);
  });
}

/// The processors stand for their part of each period, and time goes on.
void Migration::slow_down() {
  if (slowed_percent_ == 0 || SteadyClock::now() - slowed_at_ < kSlowPeriod) return;
  slowed_at_ = SteadyClock::now();
  machine_.add_errand([stand = kSlowPeriod * slowed_percent_ / 100] { std::this_thread::sleep_for(stand); });
}

/// Here nothing runs any more, and there not yet.
Result<> Migration::hand_over() {
  still_ = std::make_unique<Machine::StandStill>(machine_);
  const auto stood = SteadyClock::now();
  EIDOLON_TRY(still_->hold_devices());
  migration::StateEnd end{.stopped_at = migration::time_of_day(), .paused = still_->was_paused()};
  slowed_percent_ = 0;
  if (disks_) EIDOLON_TRY(disks_->send_written());
  EIDOLON_TRY(later_ ? leave_rest_for_later() : send_rest());
  EIDOLON_TRY(machine_.devices_.let_go());
  Result<> there = send_state(end);
  if (there) there = await_loaded();
  if (there && cancelled_.raised()) there = fail("it was cancelled");
  if (there) {
    connection_->ignore_cancellation();
    there = migration::send_message(*connection_, Kind::kGo);
  }
  if (!there) {
    if (!take_back()) {
      still_->stay_paused();
      return fail(
          "{}; and another process has the machine's disks, so it stays paused: eidolon resume once it has "
          "not",
          there.error().message);
    }
    return there;
  }
  // From here on it may run there, whatever is heard of it.
  if (const auto runs = await_running(); !runs) {
    still_->stay_paused();
    return fail(
        "{}, at the moment when the machine was to go on there; look whether it does: if so, eidolon stop "
        "this one, "
        "and if not, eidolon resume it",
        runs.error().message);
  }
  gone_ = true;
  still_->leave_devices_held();
  report([&](MigrationProgress& progress) {
    progress.down_seconds = seconds_since(stood);
    progress.there = true;
  });
  return later_ ? follow() : Result<>();
}

Result<> Migration::await_loaded() {
  if (later_)
    return server_->serve_until(Kind::kLoaded, migration::PageServer::Stream::kWanted, kLoadingSeconds);
  const auto loaded = migration::expect(*connection_, Kind::kLoaded, kLoadingSeconds);
  return loaded ? Result<>() : std::unexpected(loaded.error());
}

Result<> Migration::await_running() {
  if (later_)
    return server_->serve_until(Kind::kRuns, migration::PageServer::Stream::kAll,
                                migration::Connection::kPatienceSeconds);
  const auto runs = migration::expect(*connection_, Kind::kRuns);
  return runs ? Result<>() : std::unexpected(runs.error());
}

/// All that the other side has not got, or not as it is by now.
Result<> Migration::leave_rest_for_later() {
  migration::PageSet missing(layout_);
  for (const uint64_t page : left_) missing.add(page);
  collect_written(left_);
  for (const uint64_t page : left_) missing.add(page);
  report([&](MigrationProgress& progress) { progress.followed_bytes = missing.size() * kPageBytes; });
  EIDOLON_TRY(missing.send(*connection_));
  connection_->keep_queue_short();
  server_ =
      std::make_unique<migration::PageServer>(*connection_, machine_.memory_->bytes(), std::move(missing));
  server_->set_observer([this, before = sender_->sent_bytes()] {
    report([&](MigrationProgress& progress) {
      progress.sent_bytes = before + server_->sent_bytes();
      progress.left_bytes = server_->left() * kPageBytes;
      progress.waits = server_->waits();
    });
  });
  return {};
}

/// The machine runs there; it has all of its memory when this succeeds, or needs no more of it.
Result<> Migration::follow() {
  connection_->be_patient(kFollowingSeconds);
  const Result<> complete =
      server_->serve_until(Kind::kComplete, migration::PageServer::Stream::kAll, kFollowingSeconds);
  if (complete) return {};
  if (server_->left() == 0)
    return fail(
        "{}, when all of the machine's memory had been sent; look whether it goes on at {}, for here it "
        "cannot",
        complete.error().message, to_string(request_.to));
  return fail(
      "{}, when the machine ran at {} but a part of its memory was still here: it cannot go on, here or "
      "there; "
      "start it anew",
      complete.error().message, to_string(request_.to));
}

Result<> Migration::send_rest() {
  Pages pages;
  collect_written(pages);
  return send(pages, PageSender::Zeros::kTell);
}

Result<> Migration::send_state(const migration::StateEnd& end) {
  snapshot::FileWriter state = EIDOLON_TRY(snapshot::FileWriter::create_in_memory("migration"));
  EIDOLON_TRY(machine_.write_state(state));
  const FileDescriptor file = EIDOLON_TRY(state.finish_in_memory());
  return migration::send_state(*connection_, file.get(), end);
}

/// The other side may need a moment to end.
bool Migration::take_back() {
  connection_.reset();
  for (const auto end = SteadyClock::now() + kTakingBack;;) {
    if (machine_.devices_.take_back()) return true;
    if (SteadyClock::now() > end) return false;
    std::this_thread::sleep_for(100ms);
  }
}

}  // namespace eidolon::machine
