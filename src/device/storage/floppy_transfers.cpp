// What a job of the floppy controller does on its thread: sectors between a diskette and the DMA controller.
#include <algorithm>

#include "device/storage/floppy.h"
#include "device/storage/floppy_commands.h"

namespace eidolon::device::storage {

using namespace floppy;

namespace {

constexpr unsigned kChannel = DmaController::kFloppyChannel;
using Sector = std::array<uint8_t, FloppyFormat::kSector>;

uint64_t offset_of(const FloppyFormat& format, unsigned cylinder, unsigned head, unsigned sector) {
  return ((uint64_t{cylinder} * format.heads + head) * format.sectors + sector - 1) * FloppyFormat::kSector;
}

}  // namespace

void Floppy::run(Job& job) const {
  const uint8_t head = job.command[1] >> 2 & 1;
  const FloppyFormat& format = job.drive.format;
  job.place = {.cylinder = job.command[2], .head = job.command[3], .sector = job.command[4]};
  if ((job.command[0] & kCommandMask) == kFormat)
    job.place = {.cylinder = job.drive.cylinder, .head = head, .sector = 1};
  const uint8_t opcode = job.command[0] & kCommandMask;
  const bool writes = opcode == kWrite || opcode == kWriteDeleted || opcode == kFormat;
  if (job.rate != format.rate || head >= format.heads || job.drive.cylinder >= format.cylinders) {
    job.status1 = kMissingMark;
  } else if (writes && job.drive.medium->read_only()) {
    job.status1 = kNotWritable;
  } else if (opcode == kFormat) {
    run_format(job);
  } else {
    run_sectors(job);
  }
  if (job.status1 != 0 || job.status2 != 0) job.status0 = kAbnormal;
}

/// From the sector that was named to the terminal count, or to the last sector that was named.
void Floppy::run_sectors(Job& job) const {
  const uint8_t opcode = job.command[0] & kCommandMask;
  if (opcode == kReadTrack) job.place.sector = 1;
  // What a diskette of 512-byte sectors has no address marks for.
  if (job.command[5] != kSizeCode) job.status1 = kNoData;
  if (job.place.head != (job.command[1] >> 2 & 1)) job.status1 = kNoData;
  if (job.place.cylinder != job.drive.cylinder) {
    job.status1 = kNoData;
    job.status2 = kWrongCylinder;
  }
  for (bool terminal = false; job.status1 == 0 && !terminal;) {
    if (job.place.sector == 0 || job.place.sector > job.drive.format.sectors) {
      job.status1 = kNoData;
      return;
    }
    if (!move_sector(job, terminal)) return;
    if (!next_sector(job) && !terminal) {
      // VERIFY has no DMA that could end it.
      if (opcode != kVerify) job.status1 = kEndOfCylinder;
      return;
    }
  }
}

/// False if it failed; the status says why.
bool Floppy::move_sector(Job& job, bool& terminal) const {
  const Place& at = job.place;
  const uint64_t offset = offset_of(job.drive.format, at.cylinder, at.head, at.sector);
  const uint8_t opcode = job.command[0] & kCommandMask;
  Sector sector{};
  const iovec part = {sector.data(), sector.size()};
  DmaController::Moved moved;
  if (opcode == kWrite || opcode == kWriteDeleted) {
    moved = dma_.from_memory(kChannel, sector);
    if (moved.bytes != 0 && job.drive.medium->write(offset, {&part, 1}) != IoStatus::kDone) {
      job.status1 = kDataError;
      return false;
    }
  } else {
    if (job.drive.medium->read(offset, {&part, 1}) != IoStatus::kDone) {
      job.status1 = kDataError;
      return false;
    }
    if (opcode == kVerify) return true;
    moved = dma_.to_memory(kChannel, sector);
  }
  terminal = moved.terminal;
  // Software has closed the channel, or set it up for the other direction.
  if (moved.bytes < sector.size() && !terminal) job.status1 = kOverrun;
  return job.status1 == 0;
}

/// The place of the sector behind, as the result phase has it. False at the end of what was asked for.
bool Floppy::next_sector(Job& job) {
  Place& at = job.place;
  if (at.sector != job.command[6]) {
    ++at.sector;
    return true;
  }
  at.sector = 1;
  const bool both_heads = (job.command[0] & kMultiTrack) != 0 && job.drive.format.heads == 2;
  if (both_heads && at.head == 0) {
    at.head = 1;
    return true;
  }
  if (both_heads) at.head = 0;
  ++at.cylinder;
  return false;
}

/// Four bytes a sector come from memory: cylinder, head, sector and size code. Each is filled with one byte.
void Floppy::run_format(Job& job) const {
  const unsigned sectors = job.command[3];
  Sector filled;
  filled.fill(job.command[5]);
  const iovec part = {filled.data(), filled.size()};
  for (unsigned i = 0; i < sectors && job.status1 == 0; ++i) {
    std::array<uint8_t, 4> mark{};
    const DmaController::Moved moved = dma_.from_memory(kChannel, mark);
    if (moved.bytes < mark.size()) {
      job.status1 = kOverrun;
      return;
    }
    // The layout of the diskette is the image's; other marks cannot be written.
    const bool fits = mark[0] == job.drive.cylinder && mark[1] == job.place.head && mark[2] != 0 &&
                      mark[2] <= job.drive.format.sectors && mark[3] == kSizeCode;
    if (!fits) {
      job.status1 = kNoData;
      return;
    }
    const uint64_t offset = offset_of(job.drive.format, mark[0], mark[1], mark[2]);
    if (job.drive.medium->write(offset, {&part, 1}) != IoStatus::kDone) job.status1 = kDataError;
  }
}

}  // namespace eidolon::device::storage
