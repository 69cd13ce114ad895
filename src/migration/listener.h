// Where migrations arrive.
#pragma once

#include <optional>

#include "backend/socket_place.h"
#include "base/file.h"
#include "base/result.h"
#include "migration/place.h"

namespace eidolon::migration {

class Listener {
 public:
  static Result<Listener> create(const Place& place);
  /// Waits for a connection; its socket does not block.
  [[nodiscard]] FileDescriptor accept() const;
  /// The one that waits, if there is one.
  [[nodiscard]] FileDescriptor accept_now() const;
  /// For poll(): somebody waits.
  [[nodiscard]] int fd() const { return unix_ ? unix_->fd() : tcp_.get(); }

 private:
  Listener() = default;
  std::optional<backend::SocketPlace> unix_;
  FileDescriptor tcp_;
};

}  // namespace eidolon::migration
