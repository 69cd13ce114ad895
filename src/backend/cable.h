// A network card's cable to something on the host that is one descriptor, and may come and go: a socket of a
// switch, a tap device. While it is not there the link is down, and it is tried again every second.
//
// One thread does it all. What a derived class has of its own belongs to that thread, once it runs.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/exclusive.h"
#include "backend/wakeup.h"
#include "device/net/segments.h"

namespace eidolon::backend {

class Cable : public device::net::Link, public Exclusive {
 public:
  void plug(device::net::Card* card) final;
  /// The thread starts with the first call.
  void wake() final;
  void let_go() final;
  [[nodiscard]] bool take_back() final;

 protected:
  explicit Cable(Wakeup wakeup) : wakeup_(std::move(wakeup)) {}
  /// By the derived class's destructor: no thread runs any more.
  void stop();

  // Called by the thread.
  /// Whether the other end is there now.
  [[nodiscard]] virtual bool open() = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual int fd() const = 0;
  /// What came before is lost, or has to wait for room there.
  [[nodiscard]] virtual bool has_queued() const { return false; }
  /// Brings what there is from one end to the other. `readable`: something has come. False: the other end is
  /// gone.
  [[nodiscard]] virtual bool exchange(bool readable) = 0;

  // For exchange().
  /// The card's next frame, large ones if `large`; false: none, or it is for others' turn.
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame, device::net::Offload& offload, bool large);
  /// False: the card has no room, and what has come waits.
  [[nodiscard]] bool deliver(std::span<const uint8_t> frame, const device::net::Offload& offload);
  [[nodiscard]] bool refused() const { return refused_; }
  /// Has it all done again at once.
  void again() const { wakeup_.raise(); }

 private:
  void thread_main();
  void end_connection();
  void wait();
  void set_link(bool up);

  const Wakeup wakeup_;
  std::mutex card_mutex_;  ///< before the card's lock
  device::net::Card* card_ = nullptr;
  bool up_ = false;
  std::once_flag started_;
  std::atomic<bool> stopping_{false};
  std::mutex away_mutex_;
  std::condition_variable away_changed_;
  bool away_ = false;    ///< another process has it
  bool let_go_ = false;  ///< and the thread has closed it

  // The thread's own.
  device::net::Delivery delivery_;
  bool open_ = false;
  bool refused_ = false;  ///< the card has no room for the next frame
  bool readable_ = false;
  bool hung_up_ = false;
  std::thread thread_;
};

}  // namespace eidolon::backend
