// The destination of a migration whose memory follows later: a thread that takes pages as they come, and asks
// for those that somebody waits for (userfault.h). It has the connection to itself from begin() on, and the
// program's other threads may be waiting for it in the middle of anything: it waits for none of them.
//
//   begin --> the machine is put together --> announce_loaded: it is ours --> announce_running --> all has
//   come
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_set>

#include "backend/wakeup.h"
#include "base/result.h"
#include "migration/connection.h"
#include "migration/message.h"
#include "migration/page_set.h"
#include "migration/userfault.h"

namespace eidolon::migration {

class PageFetcher {
 public:
  static Result<std::unique_ptr<PageFetcher>> create(std::unique_ptr<Connection> connection,
                                                     const MemoryLayout& layout, PageSet missing,
                                                     Userfault faults);
  ~PageFetcher();
  PageFetcher(const PageFetcher&) = delete;
  PageFetcher& operator=(const PageFetcher&) = delete;

  struct Listeners {
    std::function<void()> complete;  ///< the memory is as any other
    /// Pages will not come any more, and whoever waits for one waits for ever: this must not return. `ours`:
    /// the machine runs here, or may.
    std::function<void(const Error& error, bool ours)> lost;
  };
  /// From now on whoever touches a missing page of `memory`, the machine's mapping, waits for it. What is
  /// there of an older content is dropped.
  Result<> begin(std::span<uint8_t> memory, Listeners listeners);
  /// Nobody uses the memory any more. Nothing more is needed, and the other side hears that if the machine
  /// was ours.
  void stop();
  /// Whether a missing page is there for the host's kernel too (userfault.h).
  [[nodiscard]] Userfault::Serves serves() const { return faults_.serves(); }

  // By whoever has put the machine together.
  /// Says that it could run. Returns when it is to.
  void announce_loaded();
  void announce_running();
  void refuse(const std::string& sentence);

 private:
  PageFetcher(std::unique_ptr<Connection> connection, const MemoryLayout& layout, PageSet missing,
              Userfault faults, backend::Wakeup wakeup)
      : connection_(std::move(connection)),
        layout_(layout),
        missing_(std::move(missing)),
        faults_(std::move(faults)),
        wakeup_(std::move(wakeup)) {}
  void thread_main();
  Result<> fetch();
  Result<> wait();
  Result<> serve_faults();
  Result<> take_message();
  Result<> take_pages(Bytes payload);
  struct Said {
    bool over = false, running = false, ours = false;  ///< as they were when it was said
  };
  Result<Said> say_what_is_to_be_said();
  void post(Kind kind, std::vector<uint8_t> payload = {});
  void finish();

  const std::unique_ptr<Connection> connection_;
  const MemoryLayout layout_;
  PageSet missing_;
  const Userfault faults_;
  const backend::Wakeup wakeup_;
  std::span<uint8_t> memory_;
  Listeners listeners_;
  std::unordered_set<uint64_t> asked_;  ///< pages that are on their way because somebody waits
  bool complete_ = false;               ///< of the thread's

  std::mutex mutex_;  ///< of what follows
  std::vector<Message> to_say_;
  bool gone_ = false;     ///< "go" has come
  bool running_ = false;  ///< and has been followed
  bool over_ = false;     ///< the machine ends
  bool ended_ = false;    ///< the thread does
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace eidolon::migration
