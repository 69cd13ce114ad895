// A stream of bytes to the other side of a migration. One thread uses it; cancel() comes from any.
#pragma once

#include <poll.h>

#include <memory>
#include <span>
#include <string>

#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"
#include "migration/place.h"
#include "migration/tls.h"
#include "snapshot/checksum.h"

struct ssl_st;

namespace eidolon::migration {

using snapshot::Bytes;

class Connection {
 public:
  /// How long the other side may take for its next byte, unless somebody says otherwise.
  static constexpr int kPatienceSeconds = 30;

  /// `tls` may be null. `cancelled` makes whatever waits fail, and is raised for good.
  static Result<std::unique_ptr<Connection>> connect(const Place& place, const Tls* tls,
                                                     const backend::Wakeup& cancelled);
  /// Of a socket that does not block, by whoever listened for it.
  static Result<std::unique_ptr<Connection>> accepted(FileDescriptor socket, const Tls* tls,
                                                      const backend::Wakeup& cancelled);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<> send(Bytes bytes);
  Result<> receive(std::span<uint8_t> bytes, int patience_seconds = kPatienceSeconds);
  /// From here on only the other side ends a wait: what is said now cannot be taken back.
  void ignore_cancellation() { cancellable_ = false; }
  /// From here on any wait may last so long: giving up would cost the guest its life.
  void be_patient(int seconds) { least_patience_seconds_ = seconds; }
  /// From here on what is sent last does not wait long behind what was sent before it.
  void keep_queue_short();
  /// Until the other side closes it, or `seconds` have passed: what was said last may get lost if it is
  /// closed with something unread.
  void wait_for_close(int seconds) const;
  /// Whatever waits here or on the other side finds that it is over. From any thread.
  void shut() const;
  /// receive() would not wait, be it that the other side has gone.
  [[nodiscard]] bool readable();
  /// For poll(), if readable() says no.
  [[nodiscard]] pollfd watched() const { return {.fd = socket_.get(), .events = POLLIN, .revents = 0}; }

 private:
  struct FreeSession {
    void operator()(ssl_st* session) const;
  };
  Connection(FileDescriptor socket, const backend::Wakeup& cancelled)
      : socket_(std::move(socket)), cancelled_(cancelled) {}
  Result<> begin_tls(const Tls& tls, const std::string& host);
  Result<> wait(short events, int patience_seconds);
  /// After a call of OpenSSL's that has not done it all: waits for what it wants.
  Result<> wait_for_tls(int result, int patience_seconds);

  const FileDescriptor socket_;
  const backend::Wakeup& cancelled_;
  bool cancellable_ = true;
  int least_patience_seconds_ = 0;
  std::unique_ptr<ssl_st, FreeSession> session_;  ///< null: plain
};

}  // namespace eidolon::migration
