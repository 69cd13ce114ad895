// A cable to a switch, or to whoever speaks as one (passt), on a Unix socket. While nobody listens there the
// link is down, and the socket is tried again every second.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backend/frame_stream.h"
#include "backend/wakeup.h"
#include "base/result.h"
#include "device/net/link.h"

namespace eidolon::backend {

class SwitchLink final : public device::net::Link {
 public:
  /// Nobody needs to listen there yet. Its thread starts when the card is first used.
  static Result<std::unique_ptr<SwitchLink>> create(const std::string& path);
  ~SwitchLink() override;

  void plug(device::net::Card* card) override;
  void wake() override;

 private:
  SwitchLink(Wakeup wakeup, std::string path) : wakeup_(std::move(wakeup)), path_(std::move(path)) {}
  void wake_thread();
  void thread_main();
  void try_to_connect();
  /// False: the connection is over.
  [[nodiscard]] bool exchange();
  void send_frames();
  void deliver();
  void wait();
  void set_link(bool up);

  const Wakeup wakeup_;
  const std::string path_;
  std::mutex card_mutex_;  ///< before the card's lock
  device::net::Card* card_ = nullptr;
  bool up_ = false;
  std::once_flag started_;
  std::atomic<bool> stopping_{false};

  // The thread's own.
  std::optional<FrameStream> stream_;
  std::vector<uint8_t> frame_;
  bool refused_ = false;  ///< the card has no room for the next frame
  bool readable_ = false;
  bool hung_up_ = false;
  std::thread thread_;
};

}  // namespace eidolon::backend
