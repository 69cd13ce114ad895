#include "device/storage/floppy_commands.h"

#include <algorithm>
#include <bit>

#include "device/storage/floppy.h"

namespace eidolon::device::storage {

using namespace floppy;

/// With the first byte itself.
unsigned Floppy::command_length(uint8_t first) {
  switch (first & kCommandMask) {
    case kReadTrack:
    case kWrite:
    case kRead:
    case kWriteDeleted:
    case kReadDeleted:
    case kVerify:
      return 9;
    case kFormat:
      return 6;
    case kConfigure:
      return 4;
    case kSpecify:
    case kSeek:
      return 3;
    case kSenseDrive:
    case kRecalibrate:
    case kReadId:
    case kPerpendicular:
      return 2;
    default:
      return 1;
  }
}

void Floppy::execute() {
  constexpr uint8_t kEnhanced = 0x90, kLockBit = 0x80;
  command_bytes_ = 0;
  switch (command_[0] & kCommandMask) {
    case kReadTrack:
    case kWrite:
    case kRead:
    case kWriteDeleted:
    case kReadDeleted:
    case kVerify:
    case kFormat:
      return start_job();
    case kSpecify:
      head_times_ = command_[1];
      head_load_ = command_[2];
      return;
    case kSenseDrive:
      return sense_drive();
    case kRecalibrate:
      return seek(0, true);
    case kSeek:
      return seek(command_[2], false);
    case kSenseInterrupt:
      return sense_interrupt();
    case kReadId:
      return read_id();
    case kDumpRegisters:
      return dump_registers();
    case kVersion:
      return give_result({kEnhanced}, false);
    case kPerpendicular:
      perpendicular_ = command_[1];
      return;
    case kConfigure:
      config_ = command_[2];
      precompensation_ = command_[3];
      return;
    case kLock:
      locked_ = (command_[0] & kLockBit) != 0;
      return give_result({static_cast<uint8_t>(locked_ << 4)}, false);
    default:
      return give_result({kInvalid}, false);
  }
}

void Floppy::give_result(const std::vector<uint8_t>& bytes, bool interrupt) {
  result_ = bytes;
  result_at_ = 0;
  phase_ = Phase::kResult;
  if (interrupt) set_interrupt(true);
}

/// The head is there at once. It goes no further than a real one can.
void Floppy::seek(uint8_t cylinder, bool recalibrate) {
  constexpr uint8_t kLastCylinder = 84;
  const auto unit = static_cast<uint8_t>(command_[1] & (recalibrate ? 3 : 7));
  Drive* drive = selected(command_[1]);
  seek_status_ = kSeekEnd | unit;
  if (drive != nullptr) {
    drive->cylinder = std::min(cylinder, kLastCylinder);
    drive->changed = false;
  } else if (recalibrate) {
    seek_status_ |= kAbnormal | kEquipmentCheck;  // track 0 was not found
  }
  seek_done_ = true;
  set_interrupt(true);
}

void Floppy::sense_interrupt() {
  const auto cylinder = [this](unsigned number) {
    return number < kDrives ? drives_[number].cylinder : uint8_t{0};
  };
  set_interrupt(false);
  if (after_reset_ != 0) {
    const auto number = static_cast<uint8_t>(std::countr_zero(after_reset_));
    after_reset_ &= static_cast<uint8_t>(after_reset_ - 1);
    return give_result({static_cast<uint8_t>(kChangedReady | number), cylinder(number)}, false);
  }
  if (!seek_done_) return give_result({kInvalid}, false);
  seek_done_ = false;
  give_result({seek_status_, cylinder(seek_status_ & 3)}, false);
}

void Floppy::sense_drive() {
  const Drive* drive = selected(command_[1]);
  auto status = static_cast<uint8_t>(kAlwaysOne | (command_[1] & 7));
  if (drive != nullptr && drive->cylinder == 0) status |= kTrackZero;
  if (drive != nullptr && drive->medium->read_only()) status |= kProtected;
  give_result({status}, false);
}

/// The next address mark that comes along: the first of the track.
void Floppy::read_id() {
  const Drive* drive = selected(command_[1]);
  const auto unit = static_cast<uint8_t>(command_[1] & 7), head = static_cast<uint8_t>(command_[1] >> 2 & 1);
  const bool readable = drive != nullptr && drive->format.rate == rate_ && head < drive->format.heads &&
                        drive->cylinder < drive->format.cylinders;
  const uint8_t cylinder = drive != nullptr ? drive->cylinder : uint8_t{0};
  if (readable) return give_result({unit, 0, 0, cylinder, head, 1, kSizeCode}, true);
  give_result({static_cast<uint8_t>(kAbnormal | unit), kMissingMark, 0, cylinder, head, 1, kSizeCode}, true);
}

void Floppy::dump_registers() {
  give_result({drives_[0].cylinder, drives_[1].cylinder, 0, 0, head_times_, head_load_,
               drives_[0].medium != nullptr ? drives_[0].format.sectors : uint8_t{0},
               static_cast<uint8_t>(locked_ << 7 | (perpendicular_ & 0x7f)), config_, precompensation_},
              false);
}

void Floppy::start_job() {
  constexpr uint8_t kNoDma = 1;
  const bool without_dma = (head_load_ & kNoDma) != 0 && (command_[0] & kCommandMask) != kVerify;
  if (selected(command_[1]) == nullptr || without_dma) {
    Job job{.command = command_, .number = command_[1] & 3u};
    job.status0 = kAbnormal;
    job.status1 = without_dma ? kOverrun : kMissingMark;
    return finish_job(job);
  }
  phase_ = Phase::kWork;
  job_waits_ = true;
}

void Floppy::finish_job(const Job& job) {
  const auto unit = static_cast<uint8_t>(job.number | (job.command[1] & 4));
  give_result({static_cast<uint8_t>(job.status0 | unit), job.status1, job.status2, job.place.cylinder,
               job.place.head, job.place.sector, kSizeCode},
              true);
}

}  // namespace eidolon::device::storage
