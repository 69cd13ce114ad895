// A connection to an NBD server by libnbd, for one thread at a time. Nothing here waits longer than until
// `stop` is set, whatever the server does.
#pragma once

#include <libnbd.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class NbdConnection {
 public:
  using IoStatus = device::storage::IoStatus;
  struct Export {
    uint64_t size = 0;
    bool read_only = false, can_flush = false, can_trim = false, can_zero = false, can_share = false;
    bool operator==(const Export&) const = default;
  };
  /// `stop` outlives the connection.
  static Result<std::unique_ptr<NbdConnection>> open(const std::string& uri, const std::atomic<bool>& stop);

  [[nodiscard]] const Export& what() const { return export_; }
  [[nodiscard]] bool alive() const;

  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into);
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from);
  [[nodiscard]] IoStatus flush();
  [[nodiscard]] IoStatus trim(uint64_t offset, uint64_t length);
  [[nodiscard]] IoStatus zero(uint64_t offset, uint64_t length, bool may_unmap);

 private:
  NbdConnection(nbd_handle* handle, const std::atomic<bool>& stop)
      : handle_(handle, nbd_close), stop_(stop) {}
  Result<> connect(const std::string& uri);
  Result<> look(const std::string& uri);
  [[nodiscard]] IoStatus wait(int64_t cookie);
  template <typename Start>
  [[nodiscard]] IoStatus for_parts(uint64_t offset, std::span<const iovec> parts, Start start);

  std::unique_ptr<nbd_handle, decltype(&nbd_close)> handle_;
  const std::atomic<bool>& stop_;
  bool leaving_ = false;   ///< the server answers, but wants to end
  bool given_up_ = false;  ///< a request was left unanswered: the connection can only be closed
  Export export_;
};

}  // namespace eidolon::backend::image
