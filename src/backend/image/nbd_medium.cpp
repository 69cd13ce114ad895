#include "backend/image/nbd_medium.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/try.h"

namespace eidolon::backend::image {

namespace {

using Clock = std::chrono::steady_clock;
/// So long a request waits for a server that is gone before it fails.
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kPause{250};
constexpr uint64_t kClearAtOnce = 1u << 30;

}  // namespace

bool NbdMedium::is_uri(const std::string& text) {
  constexpr std::array kSchemes = {"nbd://", "nbds://", "nbd+unix://", "nbds+unix://", "nbd+vsock://"};
  return std::any_of(kSchemes.begin(), kSchemes.end(),
                     [&text](const char* scheme) { return text.starts_with(scheme); });
}

Result<std::unique_ptr<NbdMedium>> NbdMedium::open(const std::string& uri, bool read_only, Say say) {
  std::unique_ptr<NbdMedium> medium(new NbdMedium(uri, read_only, std::move(say)));
  std::unique_ptr<NbdConnection> first = EIDOLON_TRY(NbdConnection::open(uri, medium->stopping_));
  medium->export_ = first->what();
  if (medium->export_.read_only && !read_only)
    return fail("the server of '{}' lets nobody write; add ,readonly or ,snapshot", uri);
  medium->idle_.push_back(std::move(first));
  return medium;
}

std::unique_ptr<NbdConnection> NbdMedium::take() {
  std::unique_lock lock(mutex_);
  const unsigned most = export_.can_share ? kConnections : 1;
  changed_.wait(lock, [&] { return stopping_ || !idle_.empty() || busy_ < most; });
  if (stopping_) return nullptr;
  ++busy_;
  if (!idle_.empty()) {
    std::unique_ptr<NbdConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->alive()) return connection;
  }
  return connect_again(lock);
}

/// One that has ended just goes.
void NbdMedium::give_back(std::unique_ptr<NbdConnection> connection) {
  {
    std::lock_guard lock(mutex_);
    --busy_;
    if (connection && connection->alive()) idle_.push_back(std::move(connection));
  }
  changed_.notify_one();
}

std::unique_ptr<NbdConnection> NbdMedium::connect_again(std::unique_lock<std::mutex>& lock) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (!stopping_) {
    lock.unlock();
    Result<std::unique_ptr<NbdConnection>> connection = NbdConnection::open(uri_, stopping_);
    lock.lock();
    if (connection && (*connection)->what() == export_) {
      if (std::exchange(lost_, false) && say_) say_(fmt::format("the server of '{}' is back", uri_));
      return *std::move(connection);
    }
    if (!std::exchange(lost_, true) && say_)
      say_(connection ? fmt::format("the export '{}' is not what it was; serve the same disk again", uri_)
                      : fmt::format("the server of '{}' is gone, and the guest's requests wait for it: {}",
                                    uri_, connection.error().message));
    if (Clock::now() > deadline) break;
    changed_.wait_for(lock, kPause);
  }
  return nullptr;
}

/// A request that an ending connection has not answered is asked once more: all of them may be repeated.
template <typename Request>
NbdMedium::IoStatus NbdMedium::ask(Request request) {
  constexpr unsigned kTries = 3;
  for (unsigned tries = 0; tries < kTries; ++tries) {
    std::unique_ptr<NbdConnection> connection = take();
    const IoStatus status = connection ? request(*connection) : IoStatus::kFailed;
    const bool answered = !connection || status == IoStatus::kDone || connection->alive();
    const bool had = connection != nullptr;
    if (had || !stopping_) give_back(std::move(connection));
    if (answered) return status;
  }
  return IoStatus::kFailed;
}

NbdMedium::IoStatus NbdMedium::read(uint64_t offset, std::span<const iovec> into) {
  return ask([&](NbdConnection& server) { return server.read(offset, into); });
}

NbdMedium::IoStatus NbdMedium::write(uint64_t offset, std::span<const iovec> from) {
  if (read_only_) return IoStatus::kFailed;
  return ask([&](NbdConnection& server) { return server.write(offset, from); });
}

NbdMedium::IoStatus NbdMedium::flush() {
  return ask([](NbdConnection& server) { return server.flush(); });
}

NbdMedium::IoStatus NbdMedium::discard(uint64_t offset, uint64_t length) {
  if (read_only_) return IoStatus::kFailed;
  for (uint64_t done = 0; done < length; done += kClearAtOnce) {
    const uint64_t part = std::min(kClearAtOnce, length - done);
    const IoStatus status = ask([&](NbdConnection& server) { return server.trim(offset + done, part); });
    if (status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

NbdMedium::IoStatus NbdMedium::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
  if (read_only_) return IoStatus::kFailed;
  static std::array<uint8_t, 256 * 1024> zeroes{};  // never written
  const uint64_t step = export_.can_zero ? kClearAtOnce : zeroes.size();
  for (uint64_t done = 0; done < length; done += step) {
    const uint64_t part = std::min(step, length - done);
    const iovec plain = {zeroes.data(), std::min<uint64_t>(part, zeroes.size())};
    const IoStatus status = ask([&](NbdConnection& server) {
      return export_.can_zero ? server.zero(offset + done, part, may_unmap)
                              : server.write(offset + done, {&plain, 1});
    });
    if (status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

void NbdMedium::stop_waiting() {
  stopping_ = true;
  changed_.notify_all();
}

}  // namespace eidolon::backend::image
