// Parts of disks on their way, for machines whose disks the other side cannot reach. A kDisk message says
// which disk and where, and has the bytes; none: they are zeros.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/storage/medium.h"
#include "migration/connection.h"

namespace eidolon::migration {

struct Disk {
  std::string path;  ///< for sentences
  device::storage::Medium* medium;
};

/// Of one message; and none goes over a multiple of it.
inline constexpr uint64_t kMostDiskBytes = 1 << 20;

/// Reads it and sends it. How many bytes went.
Result<uint64_t> send_disk_part(Connection& to, std::span<const Disk> disks, uint32_t number, uint64_t offset,
                                uint64_t length);

/// The disks that parts come for. The beginning of each (kMostDiskBytes) is zeros until the end: what is not
/// whole has no partitions and no file system, and nobody takes it for a disk.
class DiskReceiver {
 public:
  explicit DiskReceiver(std::vector<Disk> disks);
  /// What has come. What is no part of these disks is a sentence.
  Result<> take(Bytes payload);
  /// All is on the host's disk when this returns, and the beginnings are what they should be.
  Result<> finish();

 private:
  Result<> begin();
  Result<> flush();

  std::vector<Disk> disks_;
  std::vector<std::vector<uint8_t>> beginnings_;
  bool begun_ = false;
  uint64_t unflushed_ = 0;  ///< bytes
};

}  // namespace eidolon::migration
