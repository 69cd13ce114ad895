// What media of formats that are only read have in common.
#pragma once

#include "backend/image/io_result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class ReadOnlyMedium : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  [[nodiscard]] bool read_only() const final { return true; }
  [[nodiscard]] IoStatus write(uint64_t /*offset*/, std::span<const iovec> /*from*/) final {
    return IoStatus::kFailed;
  }
  [[nodiscard]] IoStatus flush() final { return IoStatus::kDone; }
  [[nodiscard]] IoStatus discard(uint64_t /*offset*/, uint64_t /*length*/) final { return IoStatus::kFailed; }
  [[nodiscard]] IoStatus write_zeroes(uint64_t /*offset*/, uint64_t /*length*/, bool /*may_unmap*/) final {
    return IoStatus::kFailed;
  }
};

}  // namespace eidolon::backend::image
