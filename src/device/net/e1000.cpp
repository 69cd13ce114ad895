#include "device/net/e1000.h"

#include "base/bits.h"

namespace eidolon::device::net {

using namespace e1000;

namespace {

constexpr uint16_t kVendor = 0x8086, kDevice = 0x100e, kSubsystem = 0x001e;
constexpr uint64_t kRegisterBytes = 128 << 10, kPortBytes = 64;
constexpr uint64_t kPortAddress = 0, kPortData = 4;
constexpr unsigned kPacketBufferKib = 64;

// MDIC (13.4.6)
constexpr uint32_t kMdicWrite = 1, kMdicRead = 2, kMdicPhy = 1;
constexpr uint32_t kMdicReady = 1u << 28, kMdicInterrupt = 1u << 29, kMdicError = 1u << 30;
constexpr uint32_t kMdicKept = 0x2fffffff;

constexpr bool is_in(uint32_t offset, uint32_t base, uint32_t end) { return offset >= base && offset < end; }

}  // namespace

E1000::E1000(std::string name, TimerQueue& timers, Link& link, const MacAddress& address)
    : Function(std::move(name), {.vendor = kVendor,
                                 .device = kDevice,
                                 .class_code = 0x020000,
                                 .revision = 3,
                                 .subsystem_vendor = kVendor,
                                 .subsystem = kSubsystem}),
      link_(link),
      eeprom_(address,
              {.vendor = kVendor, .device = kDevice, .subsystem_vendor = kVendor, .subsystem = kSubsystem}),
      interrupts_(timers, mutex_, [this](bool level) { set_interrupt(level); }) {
  filter_.reset(eeprom_.address());
  add_bar(0, pci::BarKind::kMemory32, kRegisterBytes, *this);
  add_bar(1, pci::BarKind::kIo, kPortBytes, ports_);
  add_power();
  add_interrupt_pin();
}

E1000::~E1000() { link_.plug(nullptr); }

// Registers

uint64_t E1000::io_read(uint64_t offset, unsigned size) {
  const std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned done = 0; done < size;) {
    const auto at = static_cast<uint32_t>(offset) + done;
    const unsigned part = std::min(size - done, 4 - at % 4);
    value |= (uint64_t{read_register(at & ~3u)} >> (8 * (at % 4)) & mask_below(8 * part)) << (8 * done);
    done += part;
  }
  return value;
}

/// Registers are written as a whole (13.2.1).
void E1000::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (size < 4 || offset % 4 != 0) return;
  const std::lock_guard lock(mutex_);
  for (unsigned at = 0; at < size; at += 4)
    write_register(static_cast<uint32_t>(offset) + at, static_cast<uint32_t>(value >> (8 * at)));
}

uint64_t E1000::Ports::io_read(uint64_t offset, unsigned size) {
  const std::lock_guard lock(card_.mutex_);
  if (size != 4 || (offset != kPortAddress && offset != kPortData)) return 0;
  if (offset == kPortAddress) return card_.port_address_;
  return card_.port_address_ < kRegisterBytes ? card_.read_register(card_.port_address_ & ~3u) : 0;
}

void E1000::Ports::io_write(uint64_t offset, unsigned size, uint64_t value) {
  const std::lock_guard lock(card_.mutex_);
  if (size != 4) return;
  const auto word = static_cast<uint32_t>(value);
  if (offset == kPortAddress) {
    card_.port_address_ = word;
  } else if (offset == kPortData && card_.port_address_ < kRegisterBytes) {
    card_.write_register(card_.port_address_ & ~3u, word);
  }
}

uint32_t E1000::read_register(uint32_t offset) {
  if (is_in(offset, kReceiveRing, kReceiveRing + Ring::kEnd))
    return receive_ring_.read(offset - kReceiveRing);
  if (is_in(offset, kTransmitRing, kTransmitRing + Ring::kEnd))
    return transmit_ring_.read(offset - kTransmitRing);
  if (is_in(offset, kCounters, kCountersEnd)) return counters_.read((offset - kCounters) / 4);
  if (is_in(offset, kMulticastTable, kFiltersEnd)) return filter_.read(offset);
  switch (offset) {
    case e1000::kStatus:
      return status();
    case kEecd:
      return eeprom_.control();
    case kEerd:
      return eeprom_.read();
    case kMdic:
      return mdic_;
    case kIcr:
      return interrupts_.take_causes();
    case kItr:
      return interrupts_.interval();
    case kIms:
      return interrupts_.mask();
    case kPba: {
      const uint32_t receive = bank_.get<kPba>();
      return receive | (kPacketBufferKib - std::min(receive, kPacketBufferKib)) << 16;
    }
    default:
      return bank_.read(offset);
  }
}

void E1000::write_register(uint32_t offset, uint32_t value) {
  if (is_in(offset, kReceiveRing, kReceiveRing + Ring::kEnd)) {
    receive_ring_.write(offset - kReceiveRing, value);
    if (offset == kReceiveRing + Ring::kTail && receiver_.take_waiting()) link_.wake();
    return;
  }
  if (is_in(offset, kTransmitRing, kTransmitRing + Ring::kEnd)) {
    transmit_ring_.write(offset - kTransmitRing, value);
    if (offset == kTransmitRing + Ring::kTail) wake_to_send();
    return;
  }
  if (is_in(offset, kMulticastTable, kFiltersEnd)) return filter_.write(offset, value);
  switch (offset) {
    case kCtrl:
      return write_control(value);
    case kCtrlExt:
      if ((value & kCtrlExtEepromReset) != 0) filter_.reset(eeprom_.address());
      return bank_.write(offset, value);
    case kEecd:
      return eeprom_.set_control(value);
    case kEerd:
      return eeprom_.set_read(value);
    case kMdic:
      return write_mdic(value);
    case kIcr:
      return interrupts_.clear_causes(value);
    case kItr:
      return interrupts_.set_interval(value);
    case kIcs:
      return interrupts_.raise(value);
    case kIms:
      return interrupts_.set_mask(value);
    case kImc:
      return interrupts_.clear_mask(value);
    case kRctl:
      bank_.write(offset, value);
      return link_.wake();  // it may have begun or ceased to listen
    case kTctl:
      bank_.write(offset, value);
      if (!bank_.has<kTctl>(kTctlEnable)) transmitter_.reset();
      return wake_to_send();
    default:
      return bank_.write(offset, value);
  }
}

void E1000::write_control(uint32_t value) {
  if ((value & kCtrlReset) != 0) return reset_mac();
  bank_.write(kCtrl, value);
  if ((value & kCtrlPhyReset) == 0) return;
  phy_.reset();
  interrupts_.raise(kLinkChange);
}

/// Reading and writing the transceiver takes no time. There is none at other addresses than 1.
void E1000::write_mdic(uint32_t value) {
  const auto index = static_cast<unsigned>(bits(value, 20, 16));
  const auto operation = bits(value, 27, 26);
  mdic_ = (value & kMdicKept) | kMdicReady;
  if (bits(value, 25, 21) != kMdicPhy) {
    mdic_ |= kMdicError;
  } else if (operation == kMdicRead) {
    mdic_ = (mdic_ & ~0xffffu) | phy_.read(index);
  } else if (operation == kMdicWrite) {
    if (phy_.write(index, static_cast<uint16_t>(value))) interrupts_.raise(kLinkChange);
    wake_to_send();  // the link may be up
  }
  if ((value & kMdicInterrupt) != 0) interrupts_.raise(kMdioDone);
}

/// 13.4.2: the MAC follows the transceiver.
uint32_t E1000::status() const {
  const auto speed = static_cast<uint32_t>(phy_.speed());
  return (phy_.full_duplex() ? kStatusFullDuplex : 0) | (phy_.link_up() ? kStatusLinkUp : 0) |
         speed << kStatusSpeedShift | speed << kStatusAutoSpeedShift;
}

// Life

/// CTRL.RST: all but configuration space, the transceiver and what is in the EEPROM.
void E1000::reset_mac() {
  bank_.reset();
  counters_.reset();
  filter_.reset(eeprom_.address());
  eeprom_.reset();
  receive_ring_.reset();
  transmit_ring_.reset();
  transmitter_.reset();
  mdic_ = kMdicReady;
  interrupts_.reset();
  if (receiver_.take_waiting()) link_.wake();
}

void E1000::reset_device() {
  const std::lock_guard lock(mutex_);
  filter_ = {};
  phy_.reset();
  port_address_ = 0;
  reset_mac();
}

bool E1000::hold(std::chrono::milliseconds /*patience*/) {
  const std::lock_guard lock(mutex_);
  held_ = true;
  return true;
}

void E1000::release() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  link_.wake();
}

void E1000::save_device(StateWriter& to) const {
  const std::lock_guard lock(mutex_);
  bank_.save(to);
  counters_.save(to);
  filter_.save(to);
  eeprom_.save(to);
  phy_.save(to);
  receive_ring_.save(to);
  transmit_ring_.save(to);
  transmitter_.save(to);
  interrupts_.save(to);
  to(mdic_, port_address_);
}

void E1000::load_device(StateReader& from) {
  const std::lock_guard lock(mutex_);
  bank_.load(from);
  counters_.load(from);
  filter_.load(from);
  eeprom_.load(from);
  phy_.load(from);
  receive_ring_.load(from);
  transmit_ring_.load(from);
  transmitter_.load(from);
  interrupts_.load(from);
  from(mdic_, port_address_);
}

void E1000::loaded() {
  const std::lock_guard lock(mutex_);
  interrupts_.raise(kLinkChange);  // the cable may lead elsewhere now
  sending_ = true;
  link_.wake();
}

/// Bus mastering may have been switched on.
void E1000::config_written(unsigned /*offset*/, unsigned /*size*/) {
  const std::lock_guard lock(mutex_);
  if (!dma().enabled() || !bank_.has<kTctl>(kTctlEnable)) return;
  wake_to_send();
}

// Frames

bool E1000::loops_back() const { return bank_.has<kRctl>(kRctlLoopback) || phy_.loops_back(); }

/// A driver that writes the tail again and again wakes the thread once.
void E1000::wake_to_send() {
  if (sending_ || !bank_.has<kTctl>(kTctlEnable)) return;
  sending_ = true;
  link_.wake();
}

bool E1000::next_frame(std::vector<uint8_t>& frame) {
  constexpr unsigned kLoopedAtOnce = 64;
  const std::lock_guard lock(mutex_);
  if (held_) return false;
  for (unsigned i = 0; i < kLoopedAtOnce; ++i) {
    const bool can = dma().enabled() && bank_.has<kTctl>(kTctlEnable) && (phy_.link_up() || loops_back());
    const auto outcome =
        can ? transmitter_.next(dma(), transmit_ring_, frame) : Transmitter::Outcome::kNothing;
    if (outcome == Transmitter::Outcome::kNothing) {
      sending_ = false;
      return false;
    }
    if (outcome == Transmitter::Outcome::kMore) break;
    if (!loops_back()) return true;
    (void)receiver_.receive(frame, dma(), receive_ring_);  // lost without a buffer
  }
  link_.wake();
  return false;
}

bool E1000::receive(std::span<const uint8_t> frame) {
  const std::lock_guard lock(mutex_);
  if (held_) return false;
  if (!phy_.link_up() || loops_back()) return true;  // lost, as on a wire that leads nowhere
  return receiver_.receive(frame, dma(), receive_ring_);
}

void E1000::set_link(bool up) {
  const std::lock_guard lock(mutex_);
  if (phy_.set_cable(up)) interrupts_.raise(kLinkChange);
  wake_to_send();
}

}  // namespace eidolon::device::net
