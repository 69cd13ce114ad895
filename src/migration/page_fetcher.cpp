#include "migration/page_fetcher.h"

#include <poll.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/try.h"
#include "migration/pages.h"
#include "snapshot/memory_index.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

namespace {
/// A network may be away for a while; the guest stands then, and there is nothing else for it.
constexpr int kPatienceSeconds = 300;
/// The other side hears of the end in this time, or finds that the connection has ended.
constexpr std::chrono::seconds kLastWords{6};
/// Until it has closed the connection after that.
constexpr int kClosingSeconds = 5;
}  // namespace

Result<std::unique_ptr<PageFetcher>> PageFetcher::create(std::unique_ptr<Connection> connection,
                                                         const MemoryLayout& layout, PageSet missing,
                                                         Userfault faults) {
  backend::Wakeup wakeup = EIDOLON_TRY(backend::Wakeup::create());
  connection->be_patient(kPatienceSeconds);
  connection->keep_queue_short();
  return std::unique_ptr<PageFetcher>(new PageFetcher(std::move(connection), layout, std::move(missing),
                                                      std::move(faults), std::move(wakeup)));
}

PageFetcher::~PageFetcher() { stop(); }

void PageFetcher::stop() {
  if (!thread_.joinable()) return;
  bool ended = false;
  {
    std::unique_lock lock(mutex_);
    over_ = true;
    wakeup_.raise();
    ended = changed_.wait_for(lock, kLastWords, [this] { return ended_; });
  }
  if (!ended) connection_->shut();
  thread_.join();
}

Result<> PageFetcher::begin(std::span<uint8_t> memory, Listeners listeners) {
  memory_ = memory;
  listeners_ = std::move(listeners);
  // In this order: the host may put a huge page where some pages are missing, but not where they are watched.
  for (const Piece& piece : layout_.pieces)
    EIDOLON_TRY(faults_.watch(memory_.subspan(piece.offset, piece.length)));
  // SAFETY: pages of a private mapping of ours that nobody uses yet: fresh ones take their places.
  for (const PageRun& run : missing_.runs())
    if (madvise(memory_.data() + run.first * kPageBytes, run.count * kPageBytes, MADV_DONTNEED) != 0)
      return fail("the guest's memory cannot follow later ({}); move the machine without --post-copy",
                  strerror(errno));
  thread_ = std::thread([this] { thread_main(); });
  return {};
}

void PageFetcher::post(Kind kind, std::vector<uint8_t> payload) {
  {
    const std::lock_guard lock(mutex_);
    to_say_.push_back({.kind = kind, .payload = std::move(payload)});
  }
  wakeup_.raise();
}

void PageFetcher::announce_loaded() {
  post(Kind::kLoaded);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return gone_; });  // if it never comes, Listeners::lost is called
}

void PageFetcher::announce_running() {
  post(Kind::kRuns);
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
  }
  wakeup_.raise();
}

void PageFetcher::refuse(const std::string& sentence) {
  if (!thread_.joinable()) {
    (void)send_refusal(*connection_, sentence);
    return;
  }
  post(Kind::kRefused, std::vector<uint8_t>(sentence.begin(), sentence.end()));
}

void PageFetcher::thread_main() {
  const Result<> fetched = fetch();
  bool lost = false, ours = false;
  {
    const std::lock_guard lock(mutex_);
    ours = gone_;
    lost = !fetched && !over_ && !(complete_ && gone_);
    ended_ = true;
    changed_.notify_all();
  }
  if (lost) listeners_.lost(fetched.error(), ours);
}

/// Until all has come and the other side has been told, or the machine ends.
Result<> PageFetcher::fetch() {
  if (missing_.empty()) finish();
  for (;;) {
    const Said said = EIDOLON_TRY(say_what_is_to_be_said());
    // Whoever ends in the middle needs no more either.
    if (said.over || (complete_ && said.running)) {
      if (said.ours) EIDOLON_TRY(send_message(*connection_, Kind::kComplete));
      if (said.ours && !complete_) connection_->wait_for_close(kClosingSeconds);
      return {};
    }
    EIDOLON_TRY(wait());
    EIDOLON_TRY(serve_faults());
    if (connection_->readable()) EIDOLON_TRY(take_message());
  }
}

/// What other threads have posted.
Result<PageFetcher::Said> PageFetcher::say_what_is_to_be_said() {
  std::vector<Message> messages;
  Said said;
  {
    const std::lock_guard lock(mutex_);
    wakeup_.drain();
    messages.swap(to_say_);
    said = {.over = over_, .running = running_, .ours = gone_};
  }
  for (const Message& message : messages)
    EIDOLON_TRY(send_message(*connection_, message.kind, message.payload));
  return said;
}

/// For anything at all.
Result<> PageFetcher::wait() {
  if (connection_->readable()) return {};
  std::array<pollfd, 3> watched = {faults_.watched(), connection_->watched(), wakeup_.watched()};
  if (poll(watched.data(), watched.size(), kPatienceSeconds * 1000) == 0)
    return fail("the other side has not answered for {} s", kPatienceSeconds);
  return {};
}

Result<> PageFetcher::serve_faults() {
  std::vector<uint8_t> wanted;
  while (const auto address = faults_.take()) {
    // SAFETY: only `memory_` is watched.
    const uint64_t page = (*address - reinterpret_cast<uint64_t>(memory_.data())) / kPageBytes;
    if (!missing_.has(page)) {
      EIDOLON_TRY(faults_.fill(memory_.data() + page * kPageBytes));
    } else if (asked_.insert(page).second) {
      wanted.resize(wanted.size() + sizeof page);
      std::memcpy(wanted.data() + wanted.size() - sizeof page, &page, sizeof page);
    }
  }
  return wanted.empty() ? Result<>() : send_message(*connection_, Kind::kWanted, wanted);
}

Result<> PageFetcher::take_message() {
  const Message message = EIDOLON_TRY(receive_message(*connection_, kPatienceSeconds));
  switch (message.kind) {
    case Kind::kPages:
      return take_pages(message.payload);
    case Kind::kGo: {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      changed_.notify_all();
      return {};
    }
    default:
      return std::unexpected(unexpected_message(message));
  }
}

Result<> PageFetcher::take_pages(Bytes payload) {
  EIDOLON_TRY(read_pages(payload, layout_, [this](uint64_t page, Bytes content) -> Result<> {
    if (!missing_.remove(page)) return {};  // the guest may have written to what is there
    asked_.erase(page);
    return faults_.place(memory_.data() + page * kPageBytes, content);
  }));
  if (missing_.empty() && !complete_) finish();
  return {};
}

void PageFetcher::finish() {
  for (const Piece& piece : layout_.pieces) faults_.leave(memory_.subspan(piece.offset, piece.length));
  complete_ = true;
  listeners_.complete();
}

}  // namespace eidolon::migration
