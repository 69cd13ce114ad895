// Reads compressed clusters, and keeps the last few, because a guest reads a cluster in pieces.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/image/qcow2_header.h"

namespace eidolon::backend::image::qcow2 {

/// From any thread.
class Compressed {
 public:
  Compressed(File& file, const Header& header) : file_(file), header_(header) {}

  using Cluster = std::shared_ptr<const std::vector<uint8_t>>;
  /// The cluster that an L2 entry names.
  IoResult<Cluster> read(uint64_t entry);
  /// Its place may get other contents.
  void forget();

 private:
  struct Kept {
    uint64_t entry = 0;  ///< 0: none
    Cluster cluster;
  };
  File& file_;
  const Header& header_;
  std::mutex mutex_;
  std::array<Kept, 8> kept_;
  size_t next_ = 0;
};

}  // namespace eidolon::backend::image::qcow2
