// An IoStatus as an expected, so that EIDOLON_TRY hands a failure on.
#pragma once

#include <expected>

#include "device/storage/medium.h"

namespace eidolon::backend::image {

template <typename T = void>
using IoResult = std::expected<T, device::storage::IoStatus>;

[[nodiscard]] inline IoResult<> checked(device::storage::IoStatus status) {
  if (status == device::storage::IoStatus::kDone) return {};
  return std::unexpected(status);
}
[[nodiscard]] inline device::storage::IoStatus status_of(const IoResult<>& result) {
  return result ? device::storage::IoStatus::kDone : result.error();
}
[[nodiscard]] inline std::unexpected<device::storage::IoStatus> io_failed() {
  return std::unexpected(device::storage::IoStatus::kFailed);
}

}  // namespace eidolon::backend::image
