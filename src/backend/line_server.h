// A Unix socket on which clients send lines and get a line back for each. What a line means is the handler's
// business; here are the socket's file, the connections, and the limits that keep a bad client from doing
// harm.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "backend/socket_place.h"
#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class LineServer {
 public:
  static constexpr size_t kLongestLine = 1 << 20;
  static constexpr size_t kMostClients = 16;

  /// Gets a line without its end and returns the answer, likewise. Called on the server's own thread, one
  /// line after the other. If it throws (memory), that costs the client its connection.
  using Handler = std::function<std::string(std::string_view)>;

  /// Listens on `path`, which only this user may use. A socket there that nobody serves is replaced; one that
  /// somebody does, or a file of another kind, is an error.
  static Result<std::unique_ptr<LineServer>> create(const std::string& path, Handler handler);
  /// No handler runs when this returns. Removes the socket's file, if it is still ours.
  ~LineServer();
  LineServer(const LineServer&) = delete;
  LineServer& operator=(const LineServer&) = delete;

  [[nodiscard]] const std::string& path() const { return place_.path(); }

 private:
  LineServer(SocketPlace place, Wakeup wake, Handler handler);
  void serve();

  const SocketPlace place_;
  Wakeup wake_;
  Handler handler_;
  std::thread thread_;
};

/// Removes a socket's file, unless it is served or is being put there at this moment.
void remove_stale_socket(const std::string& path);

}  // namespace eidolon::backend
