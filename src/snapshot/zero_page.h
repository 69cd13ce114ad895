// Whether a page is one of zeros, which need not be kept or sent.
#pragma once

#include <cstring>

#include "snapshot/checksum.h"
#include "snapshot/memory_index.h"

namespace eidolon::snapshot {

/// `page` has kPageBytes bytes at most.
[[nodiscard]] inline bool is_zero(Bytes page) {
  static constexpr uint8_t kZeros[kPageBytes] = {};
  return std::memcmp(page.data(), kZeros, page.size()) == 0;
}

}  // namespace eidolon::snapshot
