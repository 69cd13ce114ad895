// A network without privileges: libslirp speaks TCP/IP with the guest and uses ordinary sockets of the host.
// The guest gets 10.0.2.15 by DHCP; the host is 10.0.2.2 (its loopback too), the name server 10.0.2.3.
//
// One thread owns libslirp. It pulls frames from the card, hands it what comes for the guest, and keeps back
// a bounded number of frames while the guest has no buffers.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "backend/published_port.h"
#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"
#include "base/state_stream.h"
#include "device/net/link.h"

struct Slirp;

namespace eidolon::backend {

class UserNetwork final : public device::net::Link, public Stateful {
 public:
  /// Listens on the published ports; the thread starts when the card is first used.
  static Result<std::unique_ptr<UserNetwork>> create(std::span<const PublishedPort> published);
  ~UserNetwork() override;

  void plug(device::net::Card* card) override;
  void wake() override;

  // For a machine that moves to another process.
  /// Others may listen on the published ports.
  void let_go();
  /// False: others do, and what was published is not any more.
  [[nodiscard]] bool take_back();

  // What a snapshot keeps: which addresses were given to whom. Connections end with the process, and the
  // guest hears so when it uses one (a reset).
  [[nodiscard]] std::string_view name() const override { return "user-network"; }
  void reset() override {}
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  static constexpr size_t kMostKept = 1024;  ///< frames
  struct Alarm {
    void (*callback)(void*);
    void* cookie;
    int64_t due_ms;  ///< -1: not set
  };
  struct Callbacks;  ///< what libslirp calls

  explicit UserNetwork(Wakeup wakeup) : wakeup_(std::move(wakeup)) {}
  Result<> publish(const PublishedPort& port);
  void thread_main();
  void send_frames();
  void deliver_kept();
  void to_guest(std::span<const uint8_t> frame);
  void wait(std::unique_lock<std::mutex>& slirp);
  void run_alarms();

  const Wakeup wakeup_;
  std::vector<PublishedPort> published_;
  mutable std::mutex slirp_mutex_;  ///< before card_mutex_; the thread lets go of it while it waits
  Slirp* slirp_ = nullptr;
  bool polls_ = false;  ///< the thread waits, without the lock
  uint64_t polls_done_ = 0;
  std::condition_variable polled_;
  std::mutex card_mutex_;  ///< before the card's lock
  device::net::Card* card_ = nullptr;
  std::once_flag started_;
  std::atomic<bool> stopping_{false};

  // The thread's own.
  std::deque<std::vector<uint8_t>> kept_;
  std::list<Alarm> alarms_;
  std::vector<pollfd> watched_;
  std::vector<uint8_t> frame_;
  std::thread thread_;
};

}  // namespace eidolon::backend
