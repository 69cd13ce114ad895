#include "device/chipset/serial.h"

#include <algorithm>

namespace eidolon::device {

namespace {

// Register offsets. 0 and 1 are the divisor while LCR.DLAB is set.
enum Register : unsigned { kData, kIer, kIirFcr, kLcr, kMcr, kLsr, kMsr, kScr };

constexpr uint8_t kIerReceive = 0x01;
constexpr uint8_t kIerTransmit = 0x02;
constexpr uint8_t kIerLine = 0x04;
constexpr uint8_t kIerModem = 0x08;

// IIR values in order of priority (datasheet, table III).
constexpr uint8_t kIirNone = 0x01;
constexpr uint8_t kIirLine = 0x06;
constexpr uint8_t kIirReceive = 0x04;
constexpr uint8_t kIirTimeout = 0x0c;
constexpr uint8_t kIirTransmit = 0x02;
constexpr uint8_t kIirModem = 0x00;
constexpr uint8_t kIirFifo = 0xc0;

constexpr uint8_t kFcrEnable = 0x01;
constexpr uint8_t kFcrClearReceive = 0x02;
constexpr uint8_t kFcrKept = 0xc9;

constexpr uint8_t kLcrBreak = 0x40;
constexpr uint8_t kLcrDlab = 0x80;

constexpr uint8_t kMcrDtr = 0x01;
constexpr uint8_t kMcrRts = 0x02;
constexpr uint8_t kMcrOut1 = 0x04;
constexpr uint8_t kMcrOut2 = 0x08;  ///< gates the interrupt line on a PC
constexpr uint8_t kMcrLoop = 0x10;

constexpr uint8_t kLsrReady = 0x01;
constexpr uint8_t kLsrOverrun = 0x02;
constexpr uint8_t kLsrBreak = 0x10;
constexpr uint8_t kLsrThre = 0x20;
constexpr uint8_t kLsrIdle = 0x40;

constexpr uint8_t kMsrCts = 0x10;
constexpr uint8_t kMsrDsr = 0x20;
constexpr uint8_t kMsrRi = 0x40;
constexpr uint8_t kMsrDcd = 0x80;

constexpr std::array<uint8_t, 4> kTriggerLevels{1, 4, 8, 14};

}  // namespace

Serial::Serial(IrqLine& irq, Sink sink, std::string name)
    : irq_(irq), sink_(std::move(sink)), name_(std::move(name)) {
  reset();
}

void Serial::reset() {
  std::lock_guard lock(mutex_);
  divisor_ = 12;
  interrupt_enable_ = fifo_control_ = line_control_ = modem_control_ = scratch_ = 0;
  line_errors_ = modem_delta_ = 0;
  transmit_pending_ = false;
  fifo_head_ = fifo_count_ = 0;
  modem_last_ = modem_lines();
  update_irq();
}

bool Serial::divisor_latch() const { return (line_control_ & kLcrDlab) != 0; }
bool Serial::fifo_enabled() const { return (fifo_control_ & kFcrEnable) != 0; }
bool Serial::loopback() const { return (modem_control_ & kMcrLoop) != 0; }

size_t Serial::receive(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  const size_t taken = std::min(bytes.size(), kBacklog - backlog_.size());
  backlog_.insert(backlog_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  backlog_was_full_ |= taken < bytes.size();
  refill();
  update_irq();
  return taken;
}

void Serial::receive_break() {
  std::lock_guard lock(mutex_);
  if (loopback()) return;
  push_receiver(0);
  line_errors_ |= kLsrBreak;
  update_irq();
}

/// Moves host bytes into the receiver while it has room. Not in loopback: the line is cut off then.
void Serial::refill() {
  const size_t room = fifo_enabled() ? kFifo : 1;
  while (!loopback() && !backlog_.empty() && fifo_count_ < room) {
    push_receiver(backlog_.front());
    backlog_.pop_front();
  }
  if (backlog_was_full_ && backlog_.size() <= kBacklog / 2) {
    backlog_was_full_ = false;
    if (room_observer_) room_observer_();
  }
}

void Serial::push_receiver(uint8_t byte) {
  if (!fifo_enabled() && fifo_count_ != 0) {  // the holding register is overwritten
    fifo_[fifo_head_] = byte;
    line_errors_ |= kLsrOverrun;
  } else if (fifo_count_ == kFifo) {
    line_errors_ |= kLsrOverrun;
  } else {
    fifo_[(fifo_head_ + fifo_count_) % kFifo] = byte;
    ++fifo_count_;
  }
}

uint8_t Serial::read_receiver() {
  if (fifo_count_ == 0) return 0;
  const uint8_t byte = fifo_[fifo_head_];
  fifo_head_ = static_cast<uint8_t>((fifo_head_ + 1) % kFifo);
  --fifo_count_;
  refill();
  return byte;
}

void Serial::transmit(uint8_t byte) {
  if (loopback()) {
    push_receiver(byte);
  } else {
    outgoing_.push_back(byte);
  }
  transmit_pending_ = true;  // THR was filled and is empty again
}

/// Returns when everything that was written before the call is the sink's, whoever handed it over.
void Serial::hand_over() {
  std::lock_guard order(sink_mutex_);
  {
    std::lock_guard lock(mutex_);
    sending_.swap(outgoing_);
  }
  if (!sending_.empty()) sink_(sending_);
  sending_.clear();
}

uint8_t Serial::line_status() const {
  return static_cast<uint8_t>(kLsrThre | kLsrIdle | line_errors_ | (fifo_count_ != 0 ? kLsrReady : 0));
}

uint8_t Serial::read_line_status() {
  const uint8_t value = line_status();
  line_errors_ = 0;
  return value;
}

/// The modem's input lines: in loopback the outputs, else a peer that is always ready.
uint8_t Serial::modem_lines() const {
  if (!loopback()) return kMsrCts | kMsrDsr | kMsrDcd;
  uint8_t lines = 0;
  if ((modem_control_ & kMcrRts) != 0) lines |= kMsrCts;
  if ((modem_control_ & kMcrDtr) != 0) lines |= kMsrDsr;
  if ((modem_control_ & kMcrOut1) != 0) lines |= kMsrRi;
  if ((modem_control_ & kMcrOut2) != 0) lines |= kMsrDcd;
  return lines;
}

void Serial::update_modem() {
  const uint8_t lines = modem_lines();
  const uint8_t changed = lines ^ modem_last_;
  // Ring counts when it ends; the others whenever they change.
  const uint8_t ring_ended = changed & modem_last_ & kMsrRi;
  modem_delta_ |= static_cast<uint8_t>(((changed & (kMsrCts | kMsrDsr | kMsrDcd)) | ring_ended) >> 4);
  modem_last_ = lines;
}

uint8_t Serial::read_modem_status() {
  const uint8_t value = modem_last_ | modem_delta_;
  modem_delta_ = 0;
  return value;
}

uint8_t Serial::interrupt_id() const {
  if ((interrupt_enable_ & kIerLine) != 0 && line_errors_ != 0) return kIirLine;
  if ((interrupt_enable_ & kIerReceive) != 0 && fifo_count_ != 0) {
    // Below the trigger level the character timeout reports what is there; no time is waited for it.
    const bool timeout = fifo_enabled() && fifo_count_ < kTriggerLevels[fifo_control_ >> 6];
    return timeout ? kIirTimeout : kIirReceive;
  }
  if ((interrupt_enable_ & kIerTransmit) != 0 && transmit_pending_) return kIirTransmit;
  if ((interrupt_enable_ & kIerModem) != 0 && modem_delta_ != 0) return kIirModem;
  return kIirNone;
}

uint8_t Serial::read_interrupt_id() {
  const uint8_t id = interrupt_id();
  if (id == kIirTransmit) transmit_pending_ = false;
  return id | (fifo_enabled() ? kIirFifo : 0);
}

void Serial::write_fifo_control(uint8_t value) {
  // Changing the enable bit empties both FIFOs; other bits count only with it set.
  const bool toggled = ((value ^ fifo_control_) & kFcrEnable) != 0;
  if (toggled || (value & kFcrClearReceive) != 0) fifo_head_ = fifo_count_ = 0;
  fifo_control_ = (value & kFcrEnable) != 0 ? value & kFcrKept : 0;
  refill();
}

void Serial::update_irq() {
  const bool gate = (modem_control_ & kMcrOut2) != 0 && !loopback();
  irq_.set(gate && interrupt_id() != kIirNone);
}

uint8_t Serial::read_register(unsigned offset) {
  switch (offset) {
    case kData:
      return divisor_latch() ? static_cast<uint8_t>(divisor_) : read_receiver();
    case kIer:
      return divisor_latch() ? static_cast<uint8_t>(divisor_ >> 8) : interrupt_enable_;
    case kIirFcr:
      return read_interrupt_id();
    case kLcr:
      return line_control_;
    case kMcr:
      return modem_control_;
    case kLsr:
      return read_line_status();
    case kMsr:
      return read_modem_status();
    default:
      return scratch_;
  }
}

void Serial::write_register(unsigned offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (divisor_latch()) {
        divisor_ = static_cast<uint16_t>((divisor_ & 0xff00) | value);
      } else {
        transmit(value);
      }
      break;
    case kIer:
      if (divisor_latch()) {
        divisor_ = static_cast<uint16_t>((divisor_ & 0x00ff) | value << 8);
        break;
      }
      // Enabling the transmitter's interrupt while THR is empty raises it at once: drivers start with it.
      if ((value & ~interrupt_enable_ & kIerTransmit) != 0) transmit_pending_ = true;
      interrupt_enable_ = value & 0x0f;
      break;
    case kIirFcr:
      write_fifo_control(value);
      break;
    case kLcr:
      // A break that is sent in loopback comes back as one.
      if (loopback() && (value & ~line_control_ & kLcrBreak) != 0) {
        push_receiver(0);
        line_errors_ |= kLsrBreak;
      }
      line_control_ = value;
      break;
    case kMcr:
      modem_control_ = value & 0x1f;
      update_modem();
      refill();
      break;
    case kScr:
      scratch_ = value;
      break;
    default:
      break;  // LSR and MSR are factory-test registers when written
  }
}

uint64_t Serial::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= uint64_t{read_register((static_cast<unsigned>(offset) + i) & 7)} << (8 * i);
  update_irq();
  return value;
}

void Serial::io_write(uint64_t offset, unsigned size, uint64_t value) {
  bool sends = false;
  {
    std::lock_guard lock(mutex_);
    const size_t before = outgoing_.size();
    for (unsigned i = 0; i < size; ++i)
      write_register((static_cast<unsigned>(offset) + i) & 7, static_cast<uint8_t>(value >> (8 * i)));
    update_irq();
    sends = outgoing_.size() != before;
  }
  if (sends) hand_over();
}

void Serial::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  fields(*this, to);
  to.end();
}

void Serial::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  from.begin(name());
  fields(*this, from);
  from.end();
  interrupt_enable_ &= 0x0f;
  modem_control_ &= 0x1f;
  fifo_control_ = fifo_enabled() ? fifo_control_ & kFcrKept : 0;
  fifo_head_ %= kFifo;
  if (fifo_count_ > kFifo) from.fail();
  if (from.failed()) fifo_count_ = 0;
  refill();
  update_irq();
}

}  // namespace eidolon::device
