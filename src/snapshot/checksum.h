// The checksums of snapshots: XXH3, 64 bits. It finds what a disk or a copy did to a file, not what somebody
// did who wanted to; readers check all values for that.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace eidolon::snapshot {

using Bytes = std::span<const uint8_t>;

[[nodiscard]] uint64_t checksum(Bytes bytes);

/// The same of bytes that come in pieces.
class RunningChecksum {
 public:
  RunningChecksum();
  ~RunningChecksum();
  RunningChecksum(const RunningChecksum&) = delete;
  RunningChecksum& operator=(const RunningChecksum&) = delete;

  void restart();
  void add(Bytes bytes);
  /// Of what was added since the last restart().
  [[nodiscard]] uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace eidolon::snapshot
