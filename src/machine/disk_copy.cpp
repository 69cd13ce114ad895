#include "machine/disk_copy.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/try.h"

namespace eidolon::machine {

using backend::image::WatchedMedium;

DiskCopy::DiskCopy(migration::Connection& to, const std::vector<SavedMedium>& media,
                   std::function<Result<>()> step)
    : to_(to), step_(std::move(step)) {
  for (const SavedMedium& medium : media) {
    // Others are read only, end with the machine, or are a server's, whom both sides reach.
    auto* watched = dynamic_cast<WatchedMedium*>(medium.medium);
    if (watched == nullptr) continue;
    names_.push_back(medium.name);
    disks_.push_back({.path = medium.path, .medium = watched});
    watched_.push_back(watched);
    left_ += watched->size();
    watched->watch(true);
  }
}

DiskCopy::~DiskCopy() {
  for (WatchedMedium* medium : watched_) medium->watch(false);
}

nlohmann::json DiskCopy::description() const {
  nlohmann::json disks = nlohmann::json::array();
  for (size_t i = 0; i < disks_.size(); ++i)
    disks.push_back({{"name", names_[i]}, {"bytes", disks_[i].medium->size()}});
  return disks;
}

Result<> DiskCopy::send_all() {
  for (uint32_t number = 0; number < disks_.size(); ++number) {
    const uint64_t size = disks_[number].medium->size();
    for (uint64_t at = 0; at < size; at += migration::kMostDiskBytes) {
      const uint64_t length = std::min(migration::kMostDiskBytes, size - at);
      EIDOLON_TRY(send(number, at, length));
      left_ -= length;
    }
  }
  return {};
}

Result<> DiskCopy::send_written() {
  for (uint32_t number = 0; number < disks_.size(); ++number) {
    const uint64_t size = disks_[number].medium->size();
    for (const uint64_t part : watched_[number]->take_written()) {
      const uint64_t offset = part * WatchedMedium::kPart;
      EIDOLON_TRY(send(number, offset, std::min(WatchedMedium::kPart, size - offset)));
    }
  }
  return {};
}

Result<> DiskCopy::send(uint32_t number, uint64_t offset, uint64_t length) {
  EIDOLON_TRY(step_());
  sent_ += EIDOLON_TRY(migration::send_disk_part(to_, disks_, number, offset, length));
  return {};
}

uint64_t DiskCopy::left_bytes() const {
  uint64_t parts = 0;
  for (const WatchedMedium* medium : watched_) parts += medium->written();
  return left_ + parts * WatchedMedium::kPart;
}

}  // namespace eidolon::machine
