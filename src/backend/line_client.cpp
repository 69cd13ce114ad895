#include "backend/line_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/file.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

using Clock = std::chrono::steady_clock;

Result<FileDescriptor> connect_to(const std::string& path) {
  const sockaddr_un address = EIDOLON_TRY(socket_address(path));
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail("cannot make a socket ({}); raise the limit on open files", strerror(errno));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // SAFETY: as connect(2) has it
  if (connect(fd.get(), generic, sizeof address) != 0)
    return fail("no machine listens on '{}' ({}); see which run with: eidolon status", path, strerror(errno));
  return fd;
}

}  // namespace

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail("'{}' is too long for a socket's name, {} characters are the most; choose a shorter one",
                path, sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool is_served(const std::string& path) { return connect_to(path).has_value(); }

Result<std::string> ask_line(const std::string& path, std::string_view line, unsigned timeout_seconds) {
  const FileDescriptor fd = EIDOLON_TRY(connect_to(path));
  std::string request(line);
  request += '\n';
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t count = send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail("the machine at '{}' has gone ({})", path, strerror(errno));
    sent += static_cast<size_t>(count);
  }
  const auto deadline = Clock::now() + std::chrono::seconds(timeout_seconds);
  std::string answer;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd watched{.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || poll(&watched, 1, static_cast<int>(left)) == 0)
      return fail("the machine at '{}' does not answer", path);
    char buffer[65536];
    const ssize_t count = read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail("the machine at '{}' has gone before it answered", path);
    answer.append(buffer, static_cast<size_t>(count));
    if (answer.back() == '\n') {
      answer.pop_back();
      return answer;
    }
  }
}

}  // namespace eidolon::backend
