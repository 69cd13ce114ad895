// A network without privileges: libslirp speaks TCP/IP with the guest and uses ordinary sockets of the host.
// The guest gets 10.0.2.15 by DHCP; the host is 10.0.2.2 (its loopback too), the name server 10.0.2.3. A
// machine's second network is 10.0.3.0/24, and so on, so that the guest can tell them apart.
//
// One thread owns libslirp. It pulls frames from the card, hands it what comes for the guest, and keeps back
// a bounded number of bytes while the guest has no buffers.
//
// libslirp takes TCP packets as long as IP can say, so nothing is cut that the guest sends. What it sends are
// segments, which are put together again for a card that takes large packets.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backend/exclusive.h"
#include "backend/published_port.h"
#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"
#include "base/state_stream.h"
#include "device/net/coalesce.h"
#include "device/net/segments.h"

struct Slirp;

namespace eidolon::backend {

class UserNetwork final : public device::net::Link, public Exclusive, public Stateful {
 public:
  /// Listens on the published ports; the thread starts when the card is first used.
  /// `number`: which of the machine's networks of this kind it is, from 0; at most kMostNumber.
  static Result<std::unique_ptr<UserNetwork>> create(unsigned number,
                                                     std::span<const PublishedPort> published);
  static constexpr unsigned kMostNumber = 250;
  ~UserNetwork() override;

  void plug(device::net::Card* card) override;
  void wake() override;

  // Of the published ports.
  void let_go() override;
  [[nodiscard]] bool take_back() override;

  // What a snapshot keeps: which addresses were given to whom. Connections end with the process, and the
  // guest hears so when it uses one (a reset).
  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override {}
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  static constexpr size_t kMostKept = 2 << 20;  ///< bytes
  struct Alarm {
    void (*callback)(void*);
    void* cookie;
    int64_t due_ms;  ///< -1: not set
  };
  struct Callbacks;  ///< what libslirp calls
  struct Kept {
    std::vector<uint8_t> frame;
    device::net::Offload offload;
  };

  UserNetwork(Wakeup wakeup, std::string name) : wakeup_(std::move(wakeup)), name_(std::move(name)) {}
  Result<> publish(const PublishedPort& port);
  void thread_main();
  void send_frames();
  [[nodiscard]] bool next_frame();
  void deliver_kept();
  void to_guest(std::span<const uint8_t> frame);
  void flush();
  [[nodiscard]] bool takes_large();
  void deliver(std::span<const uint8_t> frame, const device::net::Offload& offload);
  void wait(std::unique_lock<std::mutex>& slirp);
  void run_alarms();

  const Wakeup wakeup_;
  const std::string name_;
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
  std::deque<Kept> kept_;
  size_t kept_bytes_ = 0;
  device::net::Delivery delivery_;
  device::net::Segments segments_;
  device::net::Coalescer coalescer_;  ///< empty while the thread waits
  std::list<Alarm> alarms_;
  std::vector<pollfd> watched_;
  std::vector<uint8_t> frame_;
  std::thread thread_;
};

}  // namespace eidolon::backend
