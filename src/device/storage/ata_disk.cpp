#include "device/storage/ata_disk.h"

#include <algorithm>
#include <cstring>

namespace eidolon::device::storage::ata {

namespace {
/// What every BIOS since the first IDE disks understands; beyond it only LBA reaches.
constexpr uint16_t kMostCylinders = 16383, kHeads = 16, kTrackSectors = 63;
}  // namespace

Disk::Disk(Medium& medium, std::string serial, BusKind bus)
    : medium_(medium),
      serial_(std::move(serial)),
      bus_(bus),
      natural_({.cylinders = static_cast<uint16_t>(
                    std::clamp<uint64_t>(sectors() / (kHeads * kTrackSectors), 1, kMostCylinders)),
                .heads = kHeads,
                .sectors = kTrackSectors}),
      geometry_(natural_) {
  reset(true);
}

Command Disk::begin(const TaskFile& task) {
  Command command;
  command.task = task;
  if (!begin_transfer(command)) begin_other(command);
  return command;
}

Command Disk::begin_packet(const Command& packet, const Cdb& /*cdb*/) {
  Command command = packet;
  command.fail(kAborted);
  return command;
}

void Disk::end(Command& command) {
  Drive::end(command);
  if (command.queued && command.failed()) {
    queue_error_ = {.tag = static_cast<uint8_t>(command.task.count >> 3 & 31),
                    .status = command.status,
                    .error = command.error,
                    .lba = command.task.lba,
                    .count = command.task.features};
  }
}

void Disk::reset(bool hard) {
  queue_error_ = {};
  if (!hard) return;  // ACS-3's software settings are kept over a soft reset, as SET FEATURES 66h asks for
  geometry_ = natural_;
  multiple_ = kMaxMultiple;
  dma_mode_ = bus_ == BusKind::kParallel ? 0x22 : 0x45;
  write_cache_ = true;
  look_ahead_ = true;
  smart_ = true;
}

void Disk::save(StateWriter& to) const {
  to(geometry_.cylinders, geometry_.heads, geometry_.sectors, multiple_, dma_mode_, write_cache_, look_ahead_,
     smart_, queue_error_.tag, queue_error_.status, queue_error_.error, queue_error_.lba, queue_error_.count);
}

void Disk::load(StateReader& from) {
  from(geometry_.cylinders, geometry_.heads, geometry_.sectors, multiple_, dma_mode_, write_cache_,
       look_ahead_, smart_, queue_error_.tag, queue_error_.status, queue_error_.error, queue_error_.lba,
       queue_error_.count);
  if (geometry_.cylinders == 0 || geometry_.heads == 0 || geometry_.sectors == 0 || multiple_ > kMaxMultiple)
    from.fail();
  if (from.failed()) reset(true);
}

IoStatus Disk::transfer_medium(const Command& command, uint64_t at, std::span<const iovec> parts) {
  return command.data == Data::kIn ? medium_.read(command.offset + at, parts)
                                   : medium_.write(command.offset + at, parts);
}

IoStatus Disk::work_on(Command& command) {
  switch (command.work) {
    case Work::kFlush:
      return medium_.flush();
    case Work::kVerify:
      return verify(command);
    case Work::kTrim:
      return trim(command.bytes);
    case Work::kNothing:
      break;
  }
  return IoStatus::kDone;
}

/// The task's own registers say how much: there is no data.
IoStatus Disk::verify(const Command& command) {
  std::vector<uint8_t> scratch(64 * 1024);
  for (uint64_t done = 0; done < command.length;) {
    const iovec part = {scratch.data(), std::min<size_t>(scratch.size(), command.length - done)};
    if (const IoStatus status = medium_.read(command.offset + done, {&part, 1}); status != IoStatus::kDone)
      return status;
    done += part.iov_len;
  }
  return IoStatus::kDone;
}

/// Ranges of 48 bits of address and 16 of length (ACS-3, 7.5.3.2). Those that do not lie on the disk are an
/// error.
IoStatus Disk::trim(std::span<const uint8_t> entries) {
  for (; entries.size() >= 8; entries = entries.subspan(8)) {
    uint64_t entry = 0;
    std::memcpy(&entry, entries.data(), sizeof entry);
    const uint64_t lba = entry & 0xffff'ffff'ffff, length = entry >> 48;
    if (length == 0) continue;
    if (lba > sectors() || length > sectors() - lba) return IoStatus::kFailed;
    const IoStatus status = medium_.discard(lba * Command::kSector, length * Command::kSector);
    if (status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

}  // namespace eidolon::device::storage::ata
