// A disk that an NBD server has. A server that goes away is waited for, and asked again when it is back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/image/nbd_connection.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class NbdMedium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  using Say = std::function<void(const std::string&)>;
  /// nbd://host:port/export, nbd+unix:///export?socket=PATH, and what else libnbd takes.
  static Result<std::unique_ptr<NbdMedium>> open(const std::string& uri, bool read_only, Say say);
  [[nodiscard]] static bool is_uri(const std::string& text);

  [[nodiscard]] uint64_t size() const override { return export_.size; }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] IoStatus flush() override;
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
  void stop_waiting() override;
  void retry_now() override { changed_.notify_all(); }

 private:
  NbdMedium(std::string uri, bool read_only, Say say)
      : uri_(std::move(uri)), read_only_(read_only), say_(std::move(say)) {}
  template <typename Request>
  IoStatus ask(Request request);
  /// A connection that nobody else uses; null if there is none to be had.
  std::unique_ptr<NbdConnection> take();
  void give_back(std::unique_ptr<NbdConnection> connection);
  std::unique_ptr<NbdConnection> connect_again(std::unique_lock<std::mutex>& lock);

  /// As many as requests are carried out at once, where the server allows more than one.
  static constexpr unsigned kConnections = 2;
  const std::string uri_;
  const bool read_only_;
  const Say say_;
  NbdConnection::Export export_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<NbdConnection>> idle_;
  unsigned busy_ = 0;  ///< connections that are out
  bool lost_ = false;  ///< and the user has been told
};

}  // namespace eidolon::backend::image
