#include "migration/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::migration {

namespace {

std::unexpected<Error> gone() { return fail("the other side has gone away; see what it says"); }

Result<FileDescriptor> connect_unix(const std::string& path) {
  const sockaddr_un address = EIDOLON_TRY(backend::socket_address(path));
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail("cannot make a socket ({}); raise ulimit -n", strerror(errno));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // SAFETY: as connect(2) has it
  if (::connect(socket.get(), generic, sizeof address) != 0)
    return fail("nobody listens at '{}' ({}); start eidolon receive there first", path, strerror(errno));
  return socket;
}

/// Waits for it as long as the host's own patience with a connection is.
Result<FileDescriptor> connect_tcp(const Place& place, const backend::Wakeup& cancelled) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int problem = getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found); problem != 0)
    return fail("cannot find '{}' ({})", place.host, gai_strerror(problem));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  int error = ECONNREFUSED;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    FileDescriptor socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) continue;
    if (::connect(socket.get(), at->ai_addr, at->ai_addrlen) == 0) return socket;
    error = errno;
    if (error != EINPROGRESS) continue;
    std::array<pollfd, 2> watched = {{{socket.get(), POLLOUT, 0}, cancelled.watched()}};
    if (poll(watched.data(), watched.size(), Connection::kPatienceSeconds * 1000) <= 0) error = ETIMEDOUT;
    if (watched[1].revents != 0) return fail("it was cancelled");
    socklen_t length = sizeof error;
    if (watched[0].revents != 0) getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) return socket;
  }
  return fail("nobody answers at {} ({}); start eidolon receive there first", to_string(place),
              strerror(error));
}

}  // namespace

void Connection::FreeSession::operator()(ssl_st* session) const { SSL_free(session); }
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::connect(const Place& place, const Tls* tls,
                                                        const backend::Wakeup& cancelled) {
  FileDescriptor socket = place.kind == Place::Kind::kUnix ? EIDOLON_TRY(connect_unix(place.path))
                                                           : EIDOLON_TRY(connect_tcp(place, cancelled));
  std::unique_ptr<Connection> connection(new Connection(std::move(socket), cancelled));
  if (tls != nullptr)
    EIDOLON_TRY(connection->begin_tls(*tls, place.kind == Place::Kind::kTcp ? place.host : ""));
  return connection;
}

Result<std::unique_ptr<Connection>> Connection::accepted(FileDescriptor socket, const Tls* tls,
                                                         const backend::Wakeup& cancelled) {
  std::unique_ptr<Connection> connection(new Connection(std::move(socket), cancelled));
  if (tls != nullptr) EIDOLON_TRY(connection->begin_tls(*tls, ""));
  return connection;
}

/// `host`: whom the other side's certificate has to name; empty: nobody in particular.
Result<> Connection::begin_tls(const Tls& tls, const std::string& host) {
  session_.reset(SSL_new(tls.context()));
  if (session_ == nullptr || SSL_set_fd(session_.get(), socket_.get()) != 1)
    return fail("TLS cannot be used ({})", tls_reason());
  if (!host.empty()) {
    X509_VERIFY_PARAM* wanted = SSL_get0_param(session_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) != 1 &&
        SSL_set1_host(session_.get(), host.c_str()) != 1)
      return fail("TLS cannot be used with '{}' ({})", host, tls_reason());
    ERR_clear_error();
  }
  for (;;) {
    const int result =
        tls.side() == Tls::Side::kListens ? SSL_accept(session_.get()) : SSL_connect(session_.get());
    if (result == 1) return {};
    EIDOLON_TRY(wait_for_tls(result, kPatienceSeconds));
  }
}

void Connection::keep_queue_short() {
  // Of TCP only; elsewhere the calls fail, and the queue is short.
  constexpr int kOn = 1, kUnsentBytes = 128 << 10;
  (void)setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  (void)setsockopt(socket_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
}

Result<> Connection::wait(short events, int patience_seconds) {
  patience_seconds = std::max(patience_seconds, least_patience_seconds_);
  std::array<pollfd, 2> watched = {{{socket_.get(), events, 0}, cancelled_.watched()}};
  const int ready = poll(watched.data(), cancellable_ ? 2 : 1, patience_seconds * 1000);
  if (watched[1].revents != 0) return fail("it was cancelled");
  if (ready == 0) return fail("the other side has not answered for {} s", patience_seconds);
  return {};
}

Result<> Connection::wait_for_tls(int result, int patience_seconds) {
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN, patience_seconds);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT, patience_seconds);
    case SSL_ERROR_SSL:
      if (const long verdict = SSL_get_verify_result(session_.get()); verdict != X509_V_OK)
        return fail("the other side's certificate is refused ({})", X509_verify_cert_error_string(verdict));
      return fail("TLS with the other side has failed ({})", tls_reason());
    default:
      return gone();
  }
}

Result<> Connection::send(Bytes bytes) {
  while (!bytes.empty()) {
    if (session_ != nullptr) {
      size_t sent = 0;
      const int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
      if (result != 1) EIDOLON_TRY(wait_for_tls(result, kPatienceSeconds));
      bytes = bytes.subspan(sent);
      continue;
    }
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      EIDOLON_TRY(wait(POLLOUT, kPatienceSeconds));
    } else if (errno != EINTR) {
      return gone();
    }
  }
  // Also where the socket has room for everything.
  return cancellable_ && cancelled_.raised() ? Result<>(fail("it was cancelled")) : Result<>();
}

Result<> Connection::receive(std::span<uint8_t> bytes, int patience_seconds) {
  while (!bytes.empty()) {
    if (session_ != nullptr) {
      size_t got = 0;
      const int result = SSL_read_ex(session_.get(), bytes.data(), bytes.size(), &got);
      if (result != 1) EIDOLON_TRY(wait_for_tls(result, patience_seconds));
      bytes = bytes.subspan(got);
      continue;
    }
    const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<size_t>(got));
    } else if (got < 0 && errno == EAGAIN) {
      EIDOLON_TRY(wait(POLLIN, patience_seconds));
    } else if (got == 0 || errno != EINTR) {
      return gone();
    }
  }
  return {};
}

void Connection::wait_for_close(int seconds) const {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  std::vector<uint8_t> unread(64 << 10);
  for (pollfd watched{socket_.get(), POLLIN, 0};;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0 || poll(&watched, 1, static_cast<int>(left)) <= 0) return;
    if (const ssize_t got = recv(socket_.get(), unread.data(), unread.size(), 0);
        got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      return;
  }
}

void Connection::shut() const { (void)shutdown(socket_.get(), SHUT_RDWR); }

bool Connection::readable() {
  if (session_ != nullptr && SSL_pending(session_.get()) > 0) return true;
  pollfd watched{socket_.get(), POLLIN, 0};
  return poll(&watched, 1, 0) > 0;
}

}  // namespace eidolon::migration
