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

 private:
  Listener() = default;
  std::optional<backend::SocketPlace> unix_;
  FileDescriptor tcp_;
};

}  // namespace eidolon::migration
