// Copies a whole disk from one medium to another.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

enum class Target : uint8_t {
  kZeroes,   ///< new: what is zero in the source need not be written
  kUnknown,  ///< a block device with something on it
};

/// `to` is as large, at least; it is flushed at the end.
Result<> copy_disk(device::storage::Medium& from, device::storage::Medium& to, Target target);

}  // namespace eidolon::backend::image
