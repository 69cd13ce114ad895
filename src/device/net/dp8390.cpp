#include "device/net/dp8390.h"

#include <algorithm>
#include <utility>

namespace eidolon::device::net {

namespace {

// The command register, at 0 in all pages.
constexpr uint8_t kStop = 1, kStart = 2, kTransmit = 4, kRemoteRead = 1 << 3, kRemoteWrite = 2 << 3,
                  kRemote = 7 << 3;
constexpr unsigned kPageShift = 6;
constexpr uint8_t kAfterReset = kStop | 4 << 3;

// Interrupt status.
constexpr uint8_t kRemoteDone = 0x40, kReset = 0x80, kCanInterrupt = 0x7f;
// Data configuration.
constexpr uint8_t kWords = 1;

// Page 0; what is read and what is written differ.
enum Read0 : uint32_t {
  kLocalLow = 1,
  kLocalHigh,
  kBoundary,
  kTransmitStatus,
  kCollisions,
  kFifo,
  kInterruptStatus,
  kRemoteAtLow,
  kRemoteAtHigh,
  kIdentityLow,
  kIdentityHigh,
  kReceiveStatus,
  kCounters,
};
enum Write0 : uint32_t {
  kFirstPage = 1,
  kEndPage,
  kTransmitPage = 4,
  kTransmitLow,
  kTransmitHigh,
  kRemoteStartLow = 8,
  kRemoteStartHigh,
  kRemoteLeftLow,
  kRemoteLeftHigh,
  kReceiveConfiguration,
  kTransmitConfiguration,
  kDataConfiguration,
  kInterruptMask,
};
// Page 1.
constexpr uint32_t kAddressAt = 1, kCurrent = 7, kGroupsAt = 8;

void set_low(uint16_t& word, uint8_t value) { word = static_cast<uint16_t>((word & 0xff00) | value); }
void set_high(uint16_t& word, uint8_t value) { word = static_cast<uint16_t>((word & 0xff) | value << 8); }

}  // namespace

/// The PROM of a card on a bus of words has each byte twice; "W" at 14 and 15 is how drivers tell an NE2000.
Dp8390::Dp8390(const MacAddress& address) : address_(address) {
  std::array<uint8_t, kPromBytes / 2> bytes{};
  std::ranges::copy(address, bytes.begin());
  bytes[14] = bytes[15] = 'W';
  for (size_t i = 0; i < kPromBytes; ++i) prom_[i] = bytes[i / 2];
  reset();
}

void Dp8390::reset() {
  command_ = kAfterReset;
  interrupts_ = kReset;
  mask_ = 0;
}

bool Dp8390::stopped() const { return (command_ & kStop) != 0; }
bool Dp8390::sending() const { return (command_ & kTransmit) != 0; }
bool Dp8390::wants_interrupt() const { return (interrupts_ & mask_ & kCanInterrupt) != 0; }

void Dp8390::command(uint8_t value) {
  const bool was_sending = sending();
  command_ = value;
  if (was_sending) command_ |= kTransmit;  // it ends by itself
  if ((value & kStop) != 0) {
    command_ &= static_cast<uint8_t>(~kTransmit);
    interrupts_ |= kReset;
    return;
  }
  if ((value & kStart) != 0) interrupts_ &= static_cast<uint8_t>(~kReset);
  const uint8_t remote = value & kRemote;
  if (remote != kRemoteRead && remote != kRemoteWrite) return;
  remote_at_ = remote_start_;
  if (remote_left_ == 0) interrupts_ |= kRemoteDone;
}

uint8_t Dp8390::read(uint32_t index) {
  if (index == 0) return command_;
  switch (command_ >> kPageShift) {
    case 0:
      return read_page_0(index);
    case 1:
      if (index < kCurrent) return address_[index - kAddressAt];
      return index == kCurrent ? current_ : groups_[index - kGroupsAt];
    case 2:
      return read_page_2(index);
    default:
      return read_page_3(index);
  }
}

uint8_t Dp8390::read_page_0(uint32_t index) {
  switch (index) {
    case kLocalHigh:
      return current_;
    case kBoundary:
      return boundary_;
    case kTransmitStatus:
      return transmit_status_;
    case kInterruptStatus:
      return interrupts_;
    case kRemoteAtLow:
      return static_cast<uint8_t>(remote_at_);
    case kRemoteAtHigh:
      return static_cast<uint8_t>(remote_at_ >> 8);
    case kIdentityLow:  // Realtek's; others have nothing there
      return 'P';
    case kIdentityHigh:
      return 'C';
    case kReceiveStatus:
      return receive_status_;
    case kCounters:
    case kCounters + 1:
    case kCounters + 2:
      return std::exchange(counters_[index - kCounters], uint8_t{0});
    default:  // no collisions, and nothing in the FIFO
      return 0;
  }
}

uint8_t Dp8390::read_page_2(uint32_t index) const {
  switch (index) {
    case kFirstPage:
      return first_page_;
    case kEndPage:
      return end_page_;
    case kTransmitPage:
      return transmit_page_;
    case kReceiveConfiguration:
      return receive_configuration_;
    case kTransmitConfiguration:
      return transmit_configuration_;
    case kDataConfiguration:
      return data_configuration_;
    case kInterruptMask:
      return mask_;
    default:
      return 0;
  }
}

/// Realtek's: that it is an RTL8029, with a link of full duplex.
uint8_t Dp8390::read_page_3(uint32_t index) const {
  constexpr uint32_t kConfiguration3 = 6, kDeviceLow = 14, kDeviceHigh = 15;
  constexpr uint8_t kFullDuplex = 0x40;
  if (index == kConfiguration3) return kFullDuplex;
  return index == kDeviceLow ? 0x29 : index == kDeviceHigh ? 0x80 : 0;
}

void Dp8390::write(uint32_t index, uint8_t value) {
  if (index == 0) return command(value);
  const unsigned page = command_ >> kPageShift;
  if (page == 0) return write_page_0(index, value);
  if (page != 1) return;  // of 2, nothing is written but in tests of the chip
  if (index < kCurrent) {
    address_[index - kAddressAt] = value;
  } else if (index == kCurrent) {
    current_ = value;
  } else {
    groups_[index - kGroupsAt] = value;
  }
}

void Dp8390::write_page_0(uint32_t index, uint8_t value) {
  switch (index) {
    case kFirstPage:
      first_page_ = value;
      break;
    case kEndPage:
      end_page_ = value;
      break;
    case kBoundary:
      boundary_ = value;
      break;
    case kTransmitPage:
      transmit_page_ = value;
      break;
    case kTransmitLow:
      set_low(transmit_bytes_, value);
      break;
    case kTransmitHigh:
      set_high(transmit_bytes_, value);
      break;
    case kInterruptStatus:
      interrupts_ &= static_cast<uint8_t>(~(value & kCanInterrupt));
      break;
    case kRemoteStartLow:
      set_low(remote_start_, value);
      break;
    case kRemoteStartHigh:
      set_high(remote_start_, value);
      break;
    case kRemoteLeftLow:
      set_low(remote_left_, value);
      break;
    case kRemoteLeftHigh:
      set_high(remote_left_, value);
      break;
    case kReceiveConfiguration:
      receive_configuration_ = value;
      break;
    case kTransmitConfiguration:
      transmit_configuration_ = value;
      break;
    case kDataConfiguration:
      data_configuration_ = value;
      break;
    case kInterruptMask:
      mask_ = value;
      break;
    default:
      break;
  }
}

// Memory

uint8_t Dp8390::peek(uint32_t address) const {
  if (address < kPromBytes) return prom_[address];
  const uint32_t at = address - kMemoryAt;
  return address >= kMemoryAt && at < kMemoryBytes ? memory_[at] : 0xff;
}

void Dp8390::poke(uint32_t address, uint8_t value) {
  const uint32_t at = address - kMemoryAt;
  if (address >= kMemoryAt && at < kMemoryBytes) memory_[at] = value;
}

unsigned Dp8390::units(unsigned size) const {
  return (data_configuration_ & kWords) == 0 ? 1 : std::max(size, 2u);
}

/// The ring is one for remote DMA, too.
void Dp8390::advance(unsigned bytes) {
  remote_at_ = static_cast<uint16_t>(remote_at_ + bytes);
  if (remote_at_ == end_page_ * kPageBytes) remote_at_ = static_cast<uint16_t>(first_page_ * kPageBytes);
  if (remote_left_ > bytes) {
    remote_left_ = static_cast<uint16_t>(remote_left_ - bytes);
    return;
  }
  remote_left_ = 0;
  interrupts_ |= kRemoteDone;
}

uint32_t Dp8390::read_data(unsigned size) {
  if ((command_ & kRemote) != kRemoteRead || remote_left_ == 0) return ~0u;
  const unsigned count = units(size);
  uint32_t value = 0;
  for (unsigned i = 0; i < count; ++i)
    value |= uint32_t{peek((remote_at_ & ~(count == 1 ? 0u : 1u)) + i)} << (8 * i);
  advance(count);
  return value;
}

void Dp8390::write_data(unsigned size, uint32_t value) {
  if ((command_ & kRemote) != kRemoteWrite || remote_left_ == 0) return;
  const unsigned count = units(size);
  for (unsigned i = 0; i < count; ++i)
    poke((remote_at_ & ~(count == 1 ? 0u : 1u)) + i, static_cast<uint8_t>(value >> (8 * i)));
  advance(count);
}

// Snapshots

template <typename Self, typename Stream>
void Dp8390::fields(Self& self, Stream& s) {
  s(self.memory_, self.command_, self.interrupts_, self.mask_, self.first_page_, self.end_page_,
    self.boundary_, self.current_, self.transmit_page_, self.transmit_status_, self.transmit_bytes_,
    self.remote_start_, self.remote_at_, self.remote_left_, self.receive_configuration_, self.receive_status_,
    self.transmit_configuration_, self.data_configuration_, self.address_, self.groups_, self.counters_);
}

void Dp8390::save(StateWriter& to) const { fields(*this, to); }
void Dp8390::load(StateReader& from) { fields(*this, from); }

}  // namespace eidolon::device::net
