// The bus master of an IDE channel: a table of regions in memory, and a transfer over all of them.
#include <algorithm>

#include "device/storage/dma_pieces.h"
#include "device/storage/ide_channel.h"

namespace eidolon::device::storage::ide {

namespace {
enum Register : unsigned { kCommand = 0, kStatus = 2, kTable = 4 };
constexpr uint8_t kStart = 1, kToMemory = 8;
constexpr uint8_t kActive = 1, kError = 2, kInterrupt = 4, kDriveBits = 0x60;

struct Region {
  uint32_t address;
  uint32_t length_and_flags;

  static constexpr uint32_t kLast = 1u << 31;
  [[nodiscard]] uint64_t length() const {
    const uint32_t bytes = length_and_flags & 0xfffe;
    return bytes == 0 ? 0x10000 : bytes;
  }
};
/// A table does not cross 64 KiB.
constexpr unsigned kMostRegions = 0x10000 / sizeof(Region);
}  // namespace

uint8_t Channel::read_master(unsigned number) const {
  if (number == kCommand) return master_command_;
  if (number == kStatus) return master_status_;
  return number >= kTable ? static_cast<uint8_t>(master_table_ >> (8 * (number - kTable))) : 0;
}

bool Channel::master_stops(unsigned number, uint8_t value) const {
  return number == kCommand && (value & kStart) == 0 && (master_status_ & kActive) != 0;
}

void Channel::write_master(unsigned number, uint8_t value) {
  if (number == kCommand) {
    const bool was_started = (master_command_ & kStart) != 0;
    master_command_ = value & (kStart | kToMemory);
    if ((value & kStart) == 0) {
      master_status_ &= static_cast<uint8_t>(~kActive);
      if (job_ == Job::kDma) job_ = Job::kNone;  // stopped before it began
    } else if (!was_started) {
      master_status_ |= kActive;
      start_master_if_ready();
    }
  } else if (number == kStatus) {
    const auto cleared = static_cast<uint8_t>(value & (kError | kInterrupt));
    master_status_ = static_cast<uint8_t>((master_status_ & ~cleared & ~kDriveBits) | (value & kDriveBits));
  } else if (number >= kTable) {
    const unsigned shift = 8 * (number - kTable);
    master_table_ = ((master_table_ & ~(0xffu << shift)) | uint32_t{value} << shift) & ~3u;
  }
}

void Channel::start_master_if_ready() {
  if (phase_ == Phase::kDmaWait && (master_status_ & kActive) != 0) job_ = Job::kDma;
}

/// Nothing moves unless the table has room for all of it.
void Channel::run_master() {
  const bool in = command_.data == ata::Data::kIn;
  DmaPieces pieces(*dma_, in);
  bool last = false;
  uint64_t room = 0;
  for (unsigned i = 0; i < kMostRegions && !last && room < command_.length; ++i) {
    Region region;
    const uint64_t at = running_table_ + uint64_t{i} * sizeof region;
    const bool known = dma_->read(at, &region, sizeof region);
    const uint64_t length = known ? std::min(region.length(), command_.length - room) : 0;
    if (!known || !pieces.add(region.address & ~1u, length)) {
      master_moved_ = Moved::kBusError;
      return;
    }
    last = (region.length_and_flags & Region::kLast) != 0 && length == region.length();
    room += length;
    if ((region.length_and_flags & Region::kLast) != 0) break;
  }
  if (room < command_.length) {
    master_moved_ = Moved::kTooFew;
    return;
  }
  master_moved_ = last ? Moved::kAll : Moved::kMore;
  units_[active_].drive->move(command_, 0, pieces.parts());
  if (in) pieces.written();
  units_[active_].drive->complete(command_);
}

void Channel::finish_master() {
  if (master_moved_ != Moved::kMore) master_status_ &= static_cast<uint8_t>(~kActive);
  if (master_moved_ == Moved::kTooFew) return;  // the drive goes on waiting for the rest
  if (master_moved_ == Moved::kBusError) {
    master_status_ |= kError;
    command_.fail(ata::kInterfaceCrc | ata::kAborted);
  }
  end_command(true);
}

}  // namespace eidolon::device::storage::ide
