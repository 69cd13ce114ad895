#include "backend/image/nbd_connection.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "backend/image/parts.h"
#include "base/try.h"

namespace eidolon::backend::image {

namespace {

constexpr int kPollMilliseconds = 200;
/// The protocol lets a server refuse longer requests than 32 MiB.
constexpr uint64_t kLongest = 4u << 20;

std::string reason() {
  const char* text = nbd_get_error();
  return text != nullptr ? text : "no reason is known";
}

}  // namespace

Result<std::unique_ptr<NbdConnection>> NbdConnection::open(const std::string& uri,
                                                           const std::atomic<bool>& stop) {
  nbd_handle* handle = nbd_create();
  if (handle == nullptr) return fail("cannot begin a connection to '{}' ({})", uri, reason());
  std::unique_ptr<NbdConnection> connection(new NbdConnection(handle, stop));
  EIDOLON_TRY(connection->connect(uri));
  EIDOLON_TRY(connection->look(uri));
  return connection;
}

Result<> NbdConnection::connect(const std::string& uri) {
  nbd_handle* handle = handle_.get();
  const auto refused = [&uri] {
    return fail("cannot connect to '{}' ({}); see whether the server runs and has this export", uri,
                reason());
  };
  if (nbd_aio_connect_uri(handle, uri.c_str()) != 0) return refused();
  constexpr unsigned kMostPolls = 30'000 / kPollMilliseconds;
  for (unsigned polls = 0; nbd_aio_is_ready(handle) == 0; ++polls) {
    if (nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1) return refused();
    if (stop_.load() || polls > kMostPolls)
      return fail("the server of '{}' does not answer; see whether it is well", uri);
    if (nbd_poll(handle, kPollMilliseconds) < 0) return refused();
  }
  return {};
}

Result<> NbdConnection::look(const std::string& uri) {
  nbd_handle* handle = handle_.get();
  const int64_t size = nbd_get_size(handle);
  if (size <= 0 || size % 512 != 0)
    return fail("the export '{}' has {} bytes, which is no whole number of sectors of 512; make it larger",
                uri, size);
  if (nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM) > 512)
    return fail(
        "the export '{}' can only be accessed in blocks larger than 512 bytes; serve it with smaller ones",
        uri);
  export_ = {.size = static_cast<uint64_t>(size),
             .read_only = nbd_is_read_only(handle) == 1,
             .can_flush = nbd_can_flush(handle) == 1,
             .can_trim = nbd_can_trim(handle) == 1,
             .can_zero = nbd_can_zero(handle) == 1,
             .can_share = nbd_can_multi_conn(handle) == 1};
  return {};
}

bool NbdConnection::alive() const { return !given_up_ && !leaving_ && nbd_aio_is_ready(handle_.get()) == 1; }

NbdConnection::IoStatus NbdConnection::wait(int64_t cookie) {
  if (cookie < 0) return IoStatus::kFailed;
  for (;;) {
    const int done = nbd_aio_command_completed(handle_.get(), static_cast<uint64_t>(cookie));
    if (done == 1) return IoStatus::kDone;
    if (done < 0) {
      leaving_ = leaving_ || nbd_get_errno() == ESHUTDOWN;
      return nbd_get_errno() == ENOSPC ? IoStatus::kNoSpace : IoStatus::kFailed;
    }
    // A connection that has ended completes everything, with errors.
    if (stop_.load() || nbd_poll(handle_.get(), kPollMilliseconds) < 0) {
      given_up_ = true;
      return IoStatus::kFailed;
    }
  }
}

template <typename Start>
NbdConnection::IoStatus NbdConnection::for_parts(uint64_t offset, std::span<const iovec> parts, Start start) {
  std::vector<int64_t> cookies;
  for (const iovec& part : parts) {
    for (uint64_t done = 0; done < part.iov_len; done += kLongest) {
      const uint64_t length = std::min<uint64_t>(kLongest, part.iov_len - done);
      cookies.push_back(start(static_cast<uint8_t*>(part.iov_base) + done, length, offset));
      offset += length;
    }
  }
  IoStatus all = IoStatus::kDone;
  for (const int64_t cookie : cookies) {
    // Those after one that was given up are not waited for: closing the connection ends them.
    const IoStatus status = given_up_ ? IoStatus::kFailed : wait(cookie);
    if (status != IoStatus::kDone && all != IoStatus::kFailed) all = status;
  }
  if (given_up_) handle_.reset(nbd_create());  // nothing is written into the guest's memory from here on
  return all;
}

NbdConnection::IoStatus NbdConnection::read(uint64_t offset, std::span<const iovec> into) {
  return for_parts(offset, into, [this](uint8_t* at, uint64_t length, uint64_t place) {
    return nbd_aio_pread(handle_.get(), at, length, place, NBD_NULL_COMPLETION, 0);
  });
}

NbdConnection::IoStatus NbdConnection::write(uint64_t offset, std::span<const iovec> from) {
  return for_parts(offset, from, [this](uint8_t* at, uint64_t length, uint64_t place) {
    return nbd_aio_pwrite(handle_.get(), at, length, place, NBD_NULL_COMPLETION, 0);
  });
}

NbdConnection::IoStatus NbdConnection::flush() {
  if (!export_.can_flush) return IoStatus::kDone;
  return wait(nbd_aio_flush(handle_.get(), NBD_NULL_COMPLETION, 0));
}

NbdConnection::IoStatus NbdConnection::trim(uint64_t offset, uint64_t length) {
  if (!export_.can_trim) return IoStatus::kDone;
  return wait(nbd_aio_trim(handle_.get(), length, offset, NBD_NULL_COMPLETION, 0));
}

NbdConnection::IoStatus NbdConnection::zero(uint64_t offset, uint64_t length, bool may_unmap) {
  const uint32_t flags = may_unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
  return wait(nbd_aio_zero(handle_.get(), length, offset, NBD_NULL_COMPLETION, flags));
}

}  // namespace eidolon::backend::image
