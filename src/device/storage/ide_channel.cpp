#include "device/storage/ide_channel.h"

#include <algorithm>
#include <cstring>

namespace eidolon::device::storage::ide {

namespace {
enum Register : unsigned { kData, kFeatures, kCount, kLbaLow, kLbaMid, kLbaHigh, kDevice, kCommand };
constexpr uint8_t kObsoleteDeviceBits = 0xa0;
/// An empty channel: the data lines float high, but for bit 7, which the board pulls down so that nobody
/// waits for BSY to go away.
constexpr uint8_t kNobody = 0x7f;
/// What fits into one read of a medium at a time: a multiple of every block size.
constexpr size_t kMostBuffer = 64 * 1024;

/// The low byte of a register that is written twice, or with HOB set the one before it.
uint8_t half(uint16_t value, bool earlier) { return static_cast<uint8_t>(earlier ? value >> 8 : value); }
void push(uint16_t& value, uint8_t byte) { value = static_cast<uint16_t>(value << 8 | byte); }
}  // namespace

uint8_t Channel::status() const {
  if (empty()) return kNobody;
  const Unit& unit = selected();
  if (!unit.drive) return 0;
  if ((control_ & ata::kSoftReset) != 0) return ata::kBusy;
  if (phase_ == Phase::kIdle || select_ != active_) return unit.status;
  if (busy()) return ata::kBusy | ata::kReady;
  return ata::kIdle | ata::kDataRequest;
}

uint8_t Channel::read_alternate_status() const { return status(); }

uint8_t Channel::read_register(unsigned number) {
  if (number == kCommand) {
    lower();
    return status();
  }
  if (empty()) return kNobody;
  const Unit& unit = selected();
  if (!unit.drive) return 0;
  const bool earlier = (control_ & ata::kHighOrderByte) != 0;
  const auto lba = [&unit, earlier](unsigned byte) {
    return static_cast<uint8_t>(unit.task.lba >> (8 * (byte + (earlier ? 3 : 0))));
  };
  switch (number) {
    case kFeatures:
      return unit.error;
    case kCount:
      return half(unit.task.count, earlier);
    case kLbaLow:
    case kLbaMid:
    case kLbaHigh:
      return lba(number - kLbaLow);
    default:
      return unit.task.device | kObsoleteDeviceBits;
  }
}

void Channel::write_register(unsigned number, uint8_t value) {
  control_ &= static_cast<uint8_t>(~ata::kHighOrderByte);
  if (number == kCommand) return start_command(value);
  if (busy()) return;
  set_task_byte(number, value);
}

/// Both drives listen.
void Channel::set_task_byte(unsigned number, uint8_t value) {
  for (Unit& unit : units_) {
    ata::TaskFile& task = unit.task;
    switch (number) {
      case kFeatures:
        push(task.features, value);
        break;
      case kCount:
        push(task.count, value);
        break;
      case kLbaLow:
      case kLbaMid:
      case kLbaHigh: {
        const unsigned shift = 8 * (number - kLbaLow);
        const uint64_t before = task.lba >> shift & 0xff;
        const uint64_t kept = task.lba & ~(uint64_t{0xff} << shift) & ~(uint64_t{0xff} << (shift + 24));
        task.lba = kept | uint64_t{value} << shift | before << (shift + 24);
        break;
      }
      default:
        task.device = value;
        break;
    }
  }
  if (number == kDevice) {
    select_ = (value & ata::kSecondDrive) != 0 ? 1 : 0;
    update_line();
  }
}

bool Channel::register_stops(unsigned number, uint8_t value) const {
  return number == kCommand && value == ata::kDeviceReset;
}
bool Channel::control_stops(uint8_t value) const {
  return (value & ata::kSoftReset) != 0 && (control_ & ata::kSoftReset) == 0;
}

void Channel::write_control(uint8_t value) {
  const bool was_reset = (control_ & ata::kSoftReset) != 0, is_reset = (value & ata::kSoftReset) != 0;
  control_ = value & (ata::kHighOrderByte | ata::kSoftReset | ata::kNoInterrupt);
  if (is_reset && !was_reset) {
    abandon();
    lower();
  }
  if (was_reset && !is_reset) {
    for (Unit& unit : units_) {
      if (unit.drive) unit.drive->reset(false);
      show_signature(unit);
    }
    select_ = 0;
  }
  update_line();
}

uint32_t Channel::read_data(unsigned size) {
  if (phase_ != Phase::kDataIn || select_ != active_) return empty() ? ~0u : 0;
  uint32_t value = 0;
  const size_t length = std::min<size_t>(size, block_end_ - at_);
  std::memcpy(&value, buffer_.data() + at_, length);
  at_ += length;
  if (at_ == block_end_) block_read();
  return value;
}

void Channel::write_data(unsigned size, uint32_t value) {
  if ((phase_ != Phase::kDataOut && phase_ != Phase::kPacket) || select_ != active_) return;
  const size_t length = std::min<size_t>(size, block_end_ - at_);
  std::memcpy(buffer_.data() + at_, &value, length);
  at_ += length;
  if (at_ == block_end_) block_written();
}

void Channel::raise() {
  interrupt_ = true;
  update_line();
}
void Channel::lower() {
  interrupt_ = false;
  update_line();
}

/// A drive that is not selected lets go of the line, and so does one that was told to (nIEN).
void Channel::update_line() {
  constexpr uint8_t kMasterInterrupt = 4;
  const bool level = interrupt_ && (control_ & ata::kNoInterrupt) == 0 && select_ == active_;
  if (level && !line_) master_status_ |= kMasterInterrupt;
  line_ = level;
  irq_.set(level);
}

void Channel::reset() {
  abandon();
  control_ = 0;
  select_ = 0;
  active_ = 0;
  interrupt_ = false;
  master_command_ = 0;
  master_status_ = 0;
  master_table_ = 0;
  for (Unit& unit : units_) {
    unit.task = {};
    if (unit.drive) unit.drive->reset(true);
    show_signature(unit);
  }
  line_ = false;
  irq_.set(false);
}

template <typename Self, typename Stream>
void Channel::fields(Self& self, Stream& s) {
  for (auto& unit : self.units_) {
    ata::TaskFile::fields(unit.task, s);
    s(unit.status, unit.error);
  }
  s(self.select_, self.control_, self.interrupt_, self.phase_, self.active_, self.buffer_, self.moved_,
    self.at_, self.block_end_, self.job_, self.master_command_, self.master_status_, self.master_table_);
}

void Channel::save(StateWriter& to) const {
  fields(*this, to);
  command_.save(to);
  for (const Unit& unit : units_)
    if (unit.drive) unit.drive->save(to);
}

void Channel::load(StateReader& from) {
  fields(*this, from);
  command_.load(from);
  for (Unit& unit : units_)
    if (unit.drive) unit.drive->load(from);
  const bool known = select_ <= 1 && active_ <= 1 && phase_ <= Phase::kDmaWait && job_ <= Job::kComplete;
  const bool fits = at_ <= block_end_ && block_end_ <= buffer_.size() && buffer_.size() <= kMostBuffer &&
                    moved_ <= command_.length &&
                    buffer_.size() <= std::max<uint64_t>(command_.length - moved_, 12);
  const bool serves = phase_ == Phase::kIdle || (active_ <= 1 && units_[active_].drive);
  // A phase of data has some left, and a job belongs to a drive at work.
  const bool in_data = phase_ == Phase::kDataIn || phase_ == Phase::kDataOut || phase_ == Phase::kPacket;
  const bool whole_packet = phase_ != Phase::kPacket || buffer_.size() == std::tuple_size_v<ata::Drive::Cdb>;
  const bool flows = (!in_data || at_ < block_end_) && (job_ == Job::kNone || busy());
  const bool on_medium = phase_ == Phase::kIdle || (serves && units_[active_].drive->fits(command_));
  if (!known || !fits || !serves || !whole_packet || !flows || !on_medium) from.fail();
}

}  // namespace eidolon::device::storage::ide
