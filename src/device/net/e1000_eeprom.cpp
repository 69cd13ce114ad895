#include "device/net/e1000_eeprom.h"

#include <numeric>

#include "base/bits.h"

namespace eidolon::device::net::e1000 {

namespace {

// EECD
constexpr uint32_t kClock = 1u << 0, kSelect = 1u << 1, kDataIn = 1u << 2, kDataOut = 1u << 3;
constexpr uint32_t kRequest = 1u << 6, kGrant = 1u << 7, kPresent = 1u << 8;
constexpr uint32_t kWritable = kClock | kSelect | kDataIn | 3u << 4 | kRequest;
constexpr uint32_t kFlashWritesOff = 1u << 4;  ///< as after power-on

// EERD
constexpr uint32_t kStart = 1u << 0, kDone = 1u << 4;

// Words (5.6).
constexpr unsigned kCompatibility = 0x03, kLeds = 0x04, kControl1 = 0x0a, kSubsystem = 0x0b,
                   kSubsystemVendor = 0x0c, kDevice = 0x0d, kVendor = 0x0e, kControl2 = 0x0f,
                   kChecksum = 0x3f;
constexpr uint16_t kSignature = 0x4000, kLoadIdentity = 0x0003;  ///< of kControl1
constexpr uint16_t kGoodSum = 0xbaba;

constexpr unsigned kAddressBits = 6, kCommandBits = 2 + kAddressBits;

}  // namespace

Eeprom::Eeprom(const MacAddress& address, const Identity& identity) {
  words_.fill(0xffff);
  for (unsigned i = 0; i < 3; ++i)
    words_[i] = static_cast<uint16_t>(address[2 * i] | address[2 * i + 1] << 8);
  words_[kCompatibility] = 0;
  words_[kLeds] = 0xffff;  // as the manual has them
  words_[kControl1] = kSignature | kLoadIdentity;
  words_[kSubsystem] = identity.subsystem;
  words_[kSubsystemVendor] = identity.subsystem_vendor;
  words_[kDevice] = identity.device;
  words_[kVendor] = identity.vendor;
  words_[kControl2] = 0;
  const unsigned sum = std::accumulate(words_.begin(), words_.end() - 1, 0u);
  words_[kChecksum] = static_cast<uint16_t>(kGoodSum - sum);
  reset();
}

MacAddress Eeprom::address() const {
  MacAddress address;
  for (unsigned i = 0; i < address.size(); ++i)
    address[i] = static_cast<uint8_t>(words_[i / 2] >> (8 * (i % 2)));
  return address;
}

void Eeprom::reset() {
  lines_ = kFlashWritesOff;
  read_ = shifted_ = 0;
  bits_ = address_ = 0;
  out_ = true;
  command_ = Command::kNone;
  writable_ = false;
}

/// A driver that has asked for the interface has it at once.
uint32_t Eeprom::control() const {
  return lines_ | kPresent | ((lines_ & kRequest) != 0 ? kGrant : 0) | (out_ ? kDataOut : 0);
}

void Eeprom::set_control(uint32_t value) {
  const uint32_t old = lines_;
  lines_ = value & kWritable;
  const uint32_t rising = lines_ & ~old, falling = old & ~lines_;
  if ((falling & kSelect) != 0) finish();
  if ((rising & kSelect) != 0) {
    shifted_ = bits_ = 0;
    command_ = Command::kNone;
    out_ = true;  // a write takes no time: it is ready
  }
  if ((lines_ & kSelect) != 0 && (rising & kClock) != 0) clock((lines_ & kDataIn) != 0);
}

void Eeprom::clock(bool in) {
  switch (command_) {
    case Command::kNone:
      if (bits_ == 0 && !in) return;  // a start bit is a one
      shifted_ = shifted_ << 1 | uint32_t{in};
      if (++bits_ == 1 + kCommandBits) begin(shifted_ & mask_below(kCommandBits));
      return;
    case Command::kRead:
      out_ = bit(words_[address_], 15u - bits_);
      if (++bits_ < 16) return;
      bits_ = 0;
      address_ = (address_ + 1) % kWords;
      return;
    case Command::kWrite:
      if (bits_ == 16) return;
      shifted_ = shifted_ << 1 | uint32_t{in};
      ++bits_;
      return;
    case Command::kErase:
    case Command::kIgnored:
      return;
  }
}

/// A start bit, an opcode and an address have come.
void Eeprom::begin(uint32_t opcode_and_address) {
  const unsigned opcode = opcode_and_address >> kAddressBits;
  address_ = static_cast<uint8_t>(opcode_and_address & (kWords - 1));
  shifted_ = bits_ = 0;
  command_ = Command::kIgnored;
  if (opcode == 2) {
    command_ = Command::kRead;
    out_ = false;  // a zero comes before the first word
  } else if (opcode == 1) {
    command_ = Command::kWrite;
  } else if (opcode == 3) {
    command_ = Command::kErase;
  } else if (address_ >> 4 == 3) {
    writable_ = true;
  } else if (address_ >> 4 == 0) {
    writable_ = false;
  }
}

void Eeprom::finish() {
  if (writable_ && command_ == Command::kWrite && bits_ == 16)
    words_[address_] = static_cast<uint16_t>(shifted_);
  if (writable_ && command_ == Command::kErase) words_[address_] = 0xffff;
  command_ = Command::kNone;
}

void Eeprom::set_read(uint32_t value) {
  if ((value & kStart) == 0) return;
  const uint32_t address = value >> 8 & 0xff;
  read_ = (value & 0xff00) | kDone | uint32_t{words_[address % kWords]} << 16;
}

void Eeprom::load(StateReader& from) {
  Eeprom loaded = *this;
  fields(loaded, from);
  loaded.lines_ &= kWritable;
  if (loaded.command_ > Command::kIgnored || loaded.bits_ > 16 || loaded.address_ >= kWords ||
      (loaded.command_ == Command::kRead && loaded.bits_ > 15) ||
      (loaded.command_ == Command::kNone && loaded.bits_ > kCommandBits))
    from.fail();
  if (!from.failed()) *this = loaded;
}

}  // namespace eidolon::device::net::e1000
