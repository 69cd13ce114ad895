// A guest's port on the user's terminal, by way of the Console, which has its keys and its output.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "backend/console.h"
#include "device/channel.h"

namespace eidolon::backend {

class StdioChannel final : public device::Channel {
 public:
  /// `user` outlives it.
  explicit StdioChannel(Console& user);
  ~StdioChannel() override;
  StdioChannel(const StdioChannel&) = delete;
  StdioChannel& operator=(const StdioChannel&) = delete;

  /// After Console::open_output(). Once.
  void start();
  /// Keys for the guest; how many it takes now. On the console's thread.
  size_t receive(std::span<const uint8_t> bytes);
  /// The terminal may have another size. On the console's thread.
  void look_at_size();

  // device::Channel
  void plug(device::Port* port) override;
  void wake() override;
  [[nodiscard]] bool connected() const override { return true; }
  [[nodiscard]] std::optional<device::TextSize> size() const override;

 private:
  void serve();

  Console& user_;
  std::atomic<device::TextSize> size_{device::TextSize{}};  ///< zero: no terminal
  std::mutex mutex_;                                        ///< held while the port is called
  device::Port* port_ = nullptr;
  std::mutex wake_mutex_;  ///< of what follows; taken last
  std::condition_variable woken_;
  bool awake_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace eidolon::backend
