#include "device/chipset/dma_chip.h"

#include "base/bits.h"

namespace eidolon::device {

namespace {
enum Register : unsigned {
  kStatusOrCommand = 8,
  kRequest,
  kMaskOne,
  kMode,
  kClearFlipFlop,
  kMasterClear,
  kClearMask,
  kMaskAll,
};
constexpr uint8_t kDisabled = 4;  // of the command register

void set_byte(uint16_t& value, bool upper, uint8_t byte) {
  value = static_cast<uint16_t>(upper ? (value & 0x00ff) | byte << 8 : (value & 0xff00) | byte);
}
}  // namespace

uint8_t DmaChip::read(unsigned number) {
  if (number < kStatusOrCommand) {
    const Channel& channel = channels_[number / 2];
    const uint16_t value = number % 2 == 0 ? channel.address : channel.count;
    const bool upper = upper_;
    upper_ = !upper_;
    return static_cast<uint8_t>(upper ? value >> 8 : value);
  }
  if (number == kStatusOrCommand) {
    const uint8_t status = status_;
    status_ = 0;
    return status;
  }
  return number == kMaskAll ? mask_ | 0xf0 : 0;
}

void DmaChip::write(unsigned number, uint8_t value) {
  if (number < kStatusOrCommand) {
    Channel& channel = channels_[number / 2];
    uint16_t& base = number % 2 == 0 ? channel.base_address : channel.base_count;
    set_byte(base, upper_, value);
    set_byte(number % 2 == 0 ? channel.address : channel.count, upper_, value);
    upper_ = !upper_;
    return;
  }
  const auto chosen = static_cast<uint8_t>(1u << (value & 3));
  switch (number) {
    case kStatusOrCommand:
      command_ = value;
      return;
    case kMaskOne:
      mask_ = static_cast<uint8_t>((value & 4) != 0 ? mask_ | chosen : mask_ & ~chosen);
      return;
    case kMode:
      channels_[value & 3].mode = value & 0xfc;
      return;
    case kClearFlipFlop:
      upper_ = false;
      return;
    case kMasterClear:
      command_ = status_ = 0;
      mask_ = 0xf;
      upper_ = false;
      return;
    case kClearMask:
      mask_ = 0;
      return;
    case kMaskAll:
      mask_ = value & 0xf;
      return;
    case kRequest:  // software requests move memory to memory, which a PC's board has no use for
    default:
      return;
  }
}

bool DmaChip::open(unsigned channel) const { return (command_ & kDisabled) == 0 && !bit(mask_, channel); }

bool DmaChip::advance(unsigned number) {
  Channel& channel = channels_[number];
  channel.address = static_cast<uint16_t>(channel.descends() ? channel.address - 1 : channel.address + 1);
  if (channel.count-- != 0) return false;
  status_ |= static_cast<uint8_t>(1u << number);
  if (channel.reloads()) {
    channel.address = channel.base_address;
    channel.count = channel.base_count;
  } else {
    mask_ |= static_cast<uint8_t>(1u << number);
  }
  return true;
}

void DmaChip::reset() { *this = {}; }

}  // namespace eidolon::device
