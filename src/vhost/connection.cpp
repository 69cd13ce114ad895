#include "vhost/connection.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/try.h"

namespace eidolon::vhost {

namespace {

/// A back end answers at once, or is not well.
constexpr timeval kPatience = {.tv_sec = 5, .tv_usec = 0};
constexpr uint32_t kLongestAnswer = 4096;
constexpr size_t kMostFiles = MemoryTable::kRegions;

}  // namespace

Result<Connection> Connection::open(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail("'{}' cannot be a socket's name, which has 1 to {} characters; name another", path,
                sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid())
    return fail("cannot make a socket ({}); raise the limit on open files", std::strerror(errno));
  (void)setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  (void)setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail("nobody serves vhost-user at '{}' ({}); start the back end first, or name its socket", path,
                std::strerror(errno));
  return Connection(std::move(socket));
}

Result<> Connection::tell(Request request, std::span<const uint8_t> payload,
                          std::initializer_list<int> files) {
  EIDOLON_TRY(send(request, acknowledged_ ? kNeedReply : 0, payload, files));
  if (!acknowledged_) return {};
  const std::vector<uint8_t> answer = EIDOLON_TRY(receive(request));
  uint64_t refused = 1;
  if (answer.size() == sizeof refused) std::memcpy(&refused, answer.data(), sizeof refused);
  if (refused != 0) return fail("it refuses message {}", static_cast<uint32_t>(request));
  return {};
}

Result<std::vector<uint8_t>> Connection::ask(Request request, std::span<const uint8_t> payload) {
  EIDOLON_TRY(send(request, 0, payload, {}));
  return receive(request);
}

Result<> Connection::tell_number(Request request, uint64_t number, std::initializer_list<int> files) {
  return tell(request, bytes_of(number), files);
}

Result<uint64_t> Connection::ask_number(Request request) {
  const std::vector<uint8_t> answer = EIDOLON_TRY(ask(request));
  uint64_t number = 0;
  if (answer.size() != sizeof number)
    return fail("it answers message {} with {} bytes", static_cast<uint32_t>(request), answer.size());
  std::memcpy(&number, answer.data(), sizeof number);
  return number;
}

Result<> Connection::send(Request request, uint32_t flags, std::span<const uint8_t> payload,
                          std::initializer_list<int> files) {
  EIDOLON_ASSERT(files.size() <= kMostFiles);
  Header header = {.request = static_cast<uint32_t>(request),
                   .flags = kVersion | flags,
                   .size = static_cast<uint32_t>(payload.size())};
  std::vector<uint8_t> bytes(sizeof header + payload.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  iovec part = {bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFiles * sizeof(int))> ancillary{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (files.size() != 0) {
    message.msg_control = ancillary.data();
    message.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), std::data(files), files.size() * sizeof(int));
  }
  // The descriptors go with the first byte. Messages are far shorter than a socket's buffer.
  ssize_t sent = 0;
  do sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(bytes.size())) return {};
  return fail("it does not take messages ({})", sent < 0 ? std::strerror(errno) : "its socket is full");
}

Result<std::vector<uint8_t>> Connection::receive(Request request) {
  Header header;
  EIDOLON_TRY(read_all({reinterpret_cast<uint8_t*>(&header), sizeof header}));
  const bool right = header.request == static_cast<uint32_t>(request) && (header.flags & kReply) != 0 &&
                     (header.flags & kVersionMask) == kVersion && header.size <= kLongestAnswer;
  if (!right) return fail("what it answers to message {} is no answer", static_cast<uint32_t>(request));
  std::vector<uint8_t> payload(header.size);
  EIDOLON_TRY(read_all(payload));
  return payload;
}

Result<> Connection::read_all(std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return fail("it has closed the connection");
    if (count < 0) return fail("it does not answer ({})", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

}  // namespace eidolon::vhost
