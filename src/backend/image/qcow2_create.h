// Makes empty qcow2 images.
#pragma once

#include <string>

#include "backend/image/file.h"
#include "base/result.h"

namespace eidolon::backend::image {

struct Qcow2Options {
  uint64_t size = 0;  ///< bytes, whole sectors
  uint32_t version = 3;
  unsigned cluster_bits = 16;
  unsigned refcount_order = 4;
  std::string backing_file = {};    ///< empty: none
  std::string backing_format = {};  ///< with a backing file
};

/// Into `file`, which is empty. `name` is for messages.
Result<> create_qcow2(File& file, const std::string& name, const Qcow2Options& options);

}  // namespace eidolon::backend::image
