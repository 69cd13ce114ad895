// The move of a running machine to another process (docs/migration.md), on a thread of its own:
//
//   connects --> sends all memory, then what was written meanwhile, again and again --> the machine stands
//   --> the rest and the state --> the other side could run --> it does, and this one ends
//
// Until the other side has been told to run, whatever fails leaves the machine running here. With
// MigrationRequest::post_copy the rest may come after the state, while the machine runs there
// (migration/page_server.h): then neither side has all of it for a while, and a connection that breaks is its
// end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/wakeup.h"
#include "base/result.h"
#include "machine/disk_copy.h"
#include "machine/machine.h"
#include "machine/migration_request.h"
#include "machine/stand_still.h"
#include "migration/connection.h"
#include "migration/page_server.h"
#include "migration/pages.h"
#include "migration/state.h"

namespace eidolon::machine {

class Migration {
 public:
  static Result<std::unique_ptr<Migration>> start(Machine& machine, const MigrationRequest& request);
  /// Cancels it.
  ~Migration();
  Migration(const Migration&) = delete;
  Migration& operator=(const Migration&) = delete;

  void cancel();
  [[nodiscard]] MigrationProgress progress();

 private:
  using Pages = std::vector<uint64_t>;  ///< by their numbers, in order
  Migration(Machine& machine, const MigrationRequest& request, backend::Wakeup cancelled)
      : machine_(machine), request_(request), cancelled_(std::move(cancelled)) {}

  void thread_main();
  Result<> move();
  Result<> greet();
  Result<> copy_disks();
  Result<> check_on_the_way();
  Result<> copy_while_running();
  [[nodiscard]] Pages all_pages() const;
  Result<> send(const Pages& pages, migration::PageSender::Zeros zeros);
  Result<> take_written(Pages& pages);
  void collect_written(Pages& pages);
  void slow_down();
  Result<> hand_over();
  Result<> send_rest();
  Result<> leave_rest_for_later();
  Result<> await_loaded();
  Result<> await_running();
  Result<> follow();
  Result<> send_state(const migration::StateEnd& end);
  [[nodiscard]] bool take_back();
  template <typename Change>
  void report(const Change& change);

  Machine& machine_;
  const MigrationRequest request_;
  const backend::Wakeup cancelled_;
  migration::MemoryLayout layout_;
  std::unique_ptr<migration::Connection> connection_;
  std::unique_ptr<migration::PageSender> sender_;
  std::unique_ptr<DiskCopy> disks_;                ///< null: the other side reaches them
  bool later_ = false;                             ///< what is left is sent when the machine runs there
  Pages left_;                                     ///< what that is, but for what is written still
  std::unique_ptr<migration::PageServer> server_;  ///< of later_
  std::unique_ptr<Machine::StandStill> still_;     ///< from the hand-over on
  bool gone_ = false;                              ///< it runs there, and never again here
  double bytes_per_second_ = 0;                    ///< in the last round
  unsigned slowed_percent_ = 0;
  std::chrono::steady_clock::time_point began_, slowed_at_;

  std::mutex mutex_;  ///< of what follows
  MigrationProgress progress_;
  bool told_ = false;  ///< somebody has seen the end
  std::condition_variable seen_;
  std::thread thread_;
};

}  // namespace eidolon::machine
