// The disks of a machine, and its UEFI variables, on their way to where they cannot be reached
// (MigrationRequest::copy_disks): all of
// each, and then what was written meanwhile, again and again. The source's own stay as they are.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "backend/image/watched_medium.h"
#include "base/result.h"
#include "machine/saved_media.h"
#include "migration/connection.h"
#include "migration/disk_parts.h"

namespace eidolon::machine {

class DiskCopy {
 public:
  /// `step` is called between parts; its error ends the copy.
  DiskCopy(migration::Connection& to, const std::vector<SavedMedium>& media, std::function<Result<>()> step);
  ~DiskCopy();
  DiskCopy(const DiskCopy&) = delete;
  DiskCopy& operator=(const DiskCopy&) = delete;

  /// Which they are, for the other side (CopiedDisks).
  [[nodiscard]] nlohmann::json description() const;
  Result<> send_all();
  /// What was written since. When no request is under way, the other side has all then.
  Result<> send_written();
  /// What is known to be written, and of send_all() what has not been sent.
  [[nodiscard]] uint64_t left_bytes() const;
  [[nodiscard]] uint64_t sent_bytes() const { return sent_; }

 private:
  Result<> send(uint32_t number, uint64_t offset, uint64_t length);

  migration::Connection& to_;
  std::vector<std::string> names_;
  std::vector<migration::Disk> disks_;
  std::vector<backend::image::WatchedMedium*> watched_;  ///< the same
  const std::function<Result<>()> step_;
  uint64_t sent_ = 0, left_ = 0;
};

}  // namespace eidolon::machine
