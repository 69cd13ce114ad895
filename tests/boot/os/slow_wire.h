// A connection between two Unix sockets that carries so much a second, and can be cut.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "backend/line_client.h"
#include "backend/wakeup.h"
#include "migration/connection.h"
#include "migration/listener.h"

namespace eidolon::boot_test {

class SlowWire {
 public:
  SlowWire(const std::string& here, std::string there, uint64_t bytes_per_second)
      : never_(*backend::Wakeup::create()),
        cut_(*backend::Wakeup::create()),
        there_(std::move(there)),
        per_tick_(bytes_per_second / kTicksPerSecond),
        listener_(*migration::Listener::create(*migration::parse_place(here))),
        thread_([this] { carry(); }) {}
  /// Somebody has to have connected.
  ~SlowWire() {
    cut();
    thread_.join();
  }
  SlowWire(const SlowWire&) = delete;
  SlowWire& operator=(const SlowWire&) = delete;
  void cut() const { cut_.raise(); }
  [[nodiscard]] uint64_t carried() const { return carried_; }

 private:
  static constexpr uint64_t kTicksPerSecond = 100;

  void carry() {
    const FileDescriptor source = listener_.accept();
    const sockaddr_un address = *backend::socket_address(there_);
    const FileDescriptor target(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // SAFETY: as connect(2) has it
    if (connect(target.get(), generic, sizeof address) != 0) return;
    std::thread back([&] {
      while (pass(target.get(), source.get(), 64 << 10)) {
      }
    });
    while (pass(source.get(), target.get(), per_tick_)) {
      carried_ += per_tick_;
      std::this_thread::sleep_for(std::chrono::milliseconds(1000 / kTicksPerSecond));
    }
    shutdown(source.get(), SHUT_RDWR);
    shutdown(target.get(), SHUT_RDWR);
    back.join();
  }
  /// False: it is over.
  bool pass(int from, int to, uint64_t most) {
    std::array<pollfd, 2> watched = {{{.fd = from, .events = POLLIN, .revents = 0}, cut_.watched()}};
    if (poll(watched.data(), watched.size(), -1) <= 0 || watched[1].revents != 0) return false;
    std::vector<uint8_t> bytes(most);
    const ssize_t got = recv(from, bytes.data(), bytes.size(), 0);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN;
    for (ssize_t done = 0; done < got;) {
      watched = {{{.fd = to, .events = POLLOUT, .revents = 0}, cut_.watched()}};
      if (poll(watched.data(), watched.size(), -1) <= 0 || watched[1].revents != 0) return false;
      const ssize_t sent =
          send(to, bytes.data() + done, static_cast<size_t>(got - done), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN) return false;
      done += std::max<ssize_t>(sent, 0);
    }
    return true;
  }

  const backend::Wakeup never_, cut_;
  const std::string there_;
  const uint64_t per_tick_;
  std::atomic<uint64_t> carried_{0};
  const migration::Listener listener_;
  std::thread thread_;
};

}  // namespace eidolon::boot_test
