// The text that describes a VMware disk: which extents it is made of (VMware, Virtual Disk Format 1.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace eidolon::backend::image {

struct VmdkExtent {
  enum class Kind : uint8_t { kFlat, kSparse, kZero };
  Kind kind;
  uint64_t sectors;
  std::string file;     ///< empty for kZero
  uint64_t offset = 0;  ///< kFlat: of the first sector, in sectors
};
struct VmdkDescriptor {
  std::vector<VmdkExtent> extents;
  bool has_parent = false;
};

/// `name` is for messages.
Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text, const std::string& name);

}  // namespace eidolon::backend::image
