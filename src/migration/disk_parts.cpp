#include "migration/disk_parts.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/image/parts.h"
#include "base/try.h"
#include "migration/message.h"

namespace eidolon::migration {

using backend::image::is_zero;
using device::storage::IoStatus;

namespace {

constexpr uint64_t kSector = 512;
/// So that little is left to be written when the guest stands.
constexpr uint64_t kFlushBytes = 64 << 20;

struct PartHeader {
  uint32_t disk = 0, reserved = 0;
  uint64_t offset = 0, length = 0;
};
static_assert(sizeof(PartHeader) == 24 && sizeof(PartHeader) + kMostDiskBytes <= kLongestPayload);

Result<> read(const Disk& disk, uint64_t offset, std::span<uint8_t> into) {
  const iovec piece = {into.data(), into.size()};
  if (disk.medium->read(offset, {&piece, 1}) == IoStatus::kDone) return {};
  return fail("the host cannot read '{}'; look after that disk", disk.path);
}

Result<> written(const Disk& disk, IoStatus status) {
  if (status == IoStatus::kDone) return {};
  if (status == IoStatus::kNoSpace)
    return fail("there is no room for '{}' where the machine is to go on; make some", disk.path);
  return fail("'{}' cannot be written where the machine is to go on; look after that disk", disk.path);
}

Result<> write(const Disk& disk, uint64_t offset, Bytes bytes) {
  // SAFETY: a write only reads what it is given.
  const iovec piece = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  return written(disk, disk.medium->write(offset, {&piece, 1}));
}

/// What is zeros already takes no room.
Result<> write_zeros(const Disk& disk, uint64_t offset, uint64_t length) {
  std::vector<uint8_t> present(length);
  EIDOLON_TRY(read(disk, offset, present));
  if (is_zero(present)) return {};
  return written(disk, disk.medium->write_zeroes(offset, length, true));
}

}  // namespace

Result<uint64_t> send_disk_part(Connection& to, std::span<const Disk> disks, uint32_t number, uint64_t offset,
                                uint64_t length) {
  const PartHeader part = {.disk = number, .reserved = 0, .offset = offset, .length = length};
  std::vector<uint8_t> payload(sizeof part + length);
  std::memcpy(payload.data(), &part, sizeof part);
  const std::span<uint8_t> bytes = std::span(payload).subspan(sizeof part);
  EIDOLON_TRY(read(disks[number], offset, bytes));
  if (is_zero(bytes)) payload.resize(sizeof part);
  EIDOLON_TRY(send_message(to, Kind::kDisk, payload));
  return payload.size();
}

DiskReceiver::DiskReceiver(std::vector<Disk> disks) : disks_(std::move(disks)) {
  for (const Disk& disk : disks_) beginnings_.emplace_back(std::min(kMostDiskBytes, disk.medium->size()));
}

Result<> DiskReceiver::take(Bytes payload) {
  const auto wrong = [] {
    return fail("the other side sends parts of disks that this machine does not have");
  };
  PartHeader part;
  if (payload.size() < sizeof part) return wrong();
  std::memcpy(&part, payload.data(), sizeof part);
  const Bytes bytes = payload.subspan(sizeof part);
  if (part.disk >= disks_.size() || part.reserved != 0 || part.length == 0 ||
      (part.offset | part.length) % kSector != 0 ||
      part.length > kMostDiskBytes - part.offset % kMostDiskBytes ||
      (!bytes.empty() && bytes.size() != part.length))
    return wrong();
  const Disk& disk = disks_[part.disk];
  const uint64_t size = disk.medium->size();
  if (part.offset > size || part.length > size - part.offset) return wrong();
  EIDOLON_TRY(begin());
  if (part.offset < kMostDiskBytes) {
    uint8_t* to = beginnings_[part.disk].data() + part.offset;
    std::fill_n(std::copy(bytes.begin(), bytes.end(), to), part.length - bytes.size(), uint8_t{0});
    return {};
  }
  EIDOLON_TRY(bytes.empty() ? write_zeros(disk, part.offset, part.length) : write(disk, part.offset, bytes));
  unflushed_ += part.length;
  return unflushed_ < kFlushBytes ? Result<>() : flush();
}

/// From now on nothing is left of the disks that were there before.
Result<> DiskReceiver::begin() {
  if (std::exchange(begun_, true)) return {};
  for (size_t i = 0; i < disks_.size(); ++i) EIDOLON_TRY(write_zeros(disks_[i], 0, beginnings_[i].size()));
  return flush();
}

Result<> DiskReceiver::flush() {
  unflushed_ = 0;
  for (const Disk& disk : disks_) EIDOLON_TRY(written(disk, disk.medium->flush()));
  return {};
}

Result<> DiskReceiver::finish() {
  if (!begun_) return {};
  EIDOLON_TRY(flush());
  for (size_t i = 0; i < disks_.size(); ++i)
    if (!is_zero(beginnings_[i])) EIDOLON_TRY(write(disks_[i], 0, beginnings_[i]));
  return flush();
}

}  // namespace eidolon::migration
