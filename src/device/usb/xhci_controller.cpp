#include "device/usb/xhci_controller.h"

#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/bits.h"
#include "device/pci/registers.h"

namespace eidolon::device::usb {

using namespace xhci;

namespace {

constexpr unsigned kTableBar = 2;
constexpr uint32_t kCapabilityBytes = 0x40, kVersion11 = 0x0110;
constexpr uint64_t kContextsBits = ~uint64_t{0x3f};

// Registers in configuration space that are the class's own (5.2).
constexpr unsigned kSerialBusRelease = 0x60, kFirstOwn = 0x54, kEndOfOwn = 0x64;

uint32_t read_capability(uint64_t offset) {
  constexpr uint32_t kMostSegmentsLog2 = 4, k64Bit = 1;
  switch (offset) {
    case 0x00:
      return kCapabilityBytes | kVersion11 << 16;
    case 0x04:
      return kSlots | kInterrupters << 8 | kPorts << 24;
    case 0x08:
      return kMostSegmentsLog2 << 4;
    case 0x10:
      return k64Bit | static_cast<uint32_t>(kExtended / 4) << 16;
    case 0x14:
      return kDoorbells;
    case 0x18:
      return kRuntime;
    default:
      return 0;
  }
}

/// Which ports speak which protocol (7.2).
uint32_t read_extended(uint64_t offset) {
  constexpr uint32_t kProtocol = 2, kNextAt16 = 4 << 8, kName = 0x20425355;  // "USB "
  constexpr uint32_t kUsb2 = 0x02u << 24, kUsb3 = 0x03u << 24;
  switch (offset) {
    case 0x00:
      return kProtocol | kNextAt16 | kUsb2;
    case 0x10:
      return kProtocol | kUsb3;
    case 0x04:
    case 0x14:
      return kName;
    case 0x08:
      return 1 | kUsb2Ports << 8;
    case 0x18:
      return (1 + kUsb2Ports) | kUsb3Ports << 8;
    default:
      return 0;
  }
}

void set_half(uint64_t& whole, bool upper, uint32_t value) {
  whole = upper ? (whole & mask_below(32)) | uint64_t{value} << 32 : (whole & ~mask_below(32)) | value;
}

}  // namespace

XhciController::XhciController(std::string name, const Clock& clock)
    : Function(std::move(name), {.vendor = 0x1234,
                                 .device = 0x7863,  // of nobody; drivers go by the class
                                 .class_code = 0x0c0330,
                                 .subsystem_vendor = 0x1234,
                                 .subsystem = 0x7863}),
      clock_(clock),
      pool_(mutex_, 1, [this](Lock& held) { return work(held); }) {
  add_bar(0, pci::BarKind::kMemory64, kBarBytes, *this);
  add_msix(kTableBar, kInterrupters);
  add_power();
  add_own_registers();
  add_msi(1);
  add_express();
  add_interrupt_pin();
}

/// Registers of the class at a place that the specification gives them. A capability that says nothing keeps
/// the others away from there.
void XhciController::add_own_registers() {
  constexpr unsigned kLengthAt = 2;
  const unsigned begin = config().add_capability(pci::kCapabilityVendor, kEndOfOwn - kFirstOwn);
  EIDOLON_ASSERT(begin == kFirstOwn);
  config().define<uint8_t>(begin + kLengthAt, kEndOfOwn - kFirstOwn);
  config().define<uint8_t>(kSerialBusRelease, 0x30);      // SBRN: USB 3.0
  config().define<uint8_t>(kSerialBusRelease + 1, 0x20);  // FLADJ: frames of 60000 bit times
}

bool XhciController::plug(usb::Device& device) {
  const Lock held(mutex_);
  const unsigned port = ports_.plug(device);
  if (port == 0) return false;
  device.set_listener([this, port](unsigned number) { device_ready(port, number); });
  return true;
}

// Registers

/// The registers are words; a driver may read any part of one, or two at once.
uint64_t XhciController::io_read(uint64_t offset, unsigned size) {
  const Lock held(mutex_);
  const uint64_t at = offset & ~uint64_t{3};
  uint64_t value = read_register(at);
  if (size == 8) return value | uint64_t{read_register(at + 4)} << 32;
  return value >> (offset % 4 * 8) & mask_below(size * 8);
}

void XhciController::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (size < 4 || offset % 4 != 0) return;
  Lock held(mutex_);
  write_register(held, offset, static_cast<uint32_t>(value));
  if (size == 8) write_register(held, offset + 4, static_cast<uint32_t>(value >> 32));
}

uint32_t XhciController::read_register(uint64_t offset) const {
  if (offset < kOperational) return read_capability(offset);
  if (offset < kPortRegisters) return read_operational(offset - kOperational);
  if (offset < kExtended) return ports_.read(offset - kPortRegisters);
  if (offset < kRuntime) return read_extended(offset - kExtended);
  if (offset >= kDoorbells) return 0;
  if (offset == kRuntime) return frame_index();
  const uint64_t index = (offset - kRuntime) / kInterrupterBytes;
  if (index == 0 || index > kInterrupters) return 0;
  return interrupters_[index - 1].read(offset % kInterrupterBytes);
}

uint32_t XhciController::read_operational(uint64_t offset) const {
  switch (offset) {
    case kCommand:
      return command_;
    case xhci::kStatus:
      return status_;
    case kPageSize:
      return 1;  // 4 KiB
    case kNotifications:
      return notifications_;
    case kCommandRing:
      return commands_run_ ? kRingRunning : 0;  // the pointer reads as 0
    case kContexts:
      return static_cast<uint32_t>(contexts_);
    case kContexts + 4:
      return static_cast<uint32_t>(contexts_ >> 32);
    case kConfigure:
      return configure_;
    default:
      return 0;
  }
}

/// MFINDEX: 125 microseconds each, while it runs.
uint32_t XhciController::frame_index() const {
  constexpr Nanoseconds kMicroframe = 125'000;
  return running() ? static_cast<uint32_t>(clock_.now() / kMicroframe) & 0x3fff : 0;
}

void XhciController::write_register(Lock& held, uint64_t offset, uint32_t value) {
  if (offset < kOperational) return;
  if (offset < kPortRegisters) return write_operational(held, offset - kOperational, value);
  if (offset < kExtended) {
    // A reset of the port resets the device, which must not be at work meanwhile.
    const QuietPool quiet(pool_, held);
    ports_.write(offset - kPortRegisters, value);
    if (ports_.untold() != 0) status_ |= kPortChange;
    return pool_.wake();
  }
  if (offset < kRuntime) return;
  if (offset < kDoorbells) return write_runtime(offset - kRuntime, value);
  ring_doorbell(static_cast<unsigned>((offset - kDoorbells) / 4), value);
}

void XhciController::write_operational(Lock& held, uint64_t offset, uint32_t value) {
  switch (offset) {
    case kCommand:
      return write_command(held, value);
    case xhci::kStatus:
      status_ &= ~(value & kStatusClearable);
      return;
    case kNotifications:
      notifications_ = value & 0xffff;
      return;
    case kCommandRing:
    case kCommandRing + 4:
      return write_command_ring(offset, value);
    case kContexts:
    case kContexts + 4:
      set_half(contexts_, offset != kContexts, value);
      contexts_ &= kContextsBits;
      return;
    case kConfigure:
      configure_ = value & 0x3ff;
      return;
    default:
      return;
  }
}

void XhciController::write_command(Lock& held, uint32_t value) {
  if ((value & kHostReset) != 0) {
    const QuietPool quiet(pool_, held);
    return reset_host();
  }
  const bool runs = (value & kRun) != 0;
  std::optional<QuietPool> quiet;
  if (!runs && (command_ & kRun) != 0) quiet.emplace(pool_, held);
  const bool ran = (command_ & kRun) != 0;
  const bool interrupts_on = (value & ~command_ & kInterruptEnable) != 0;
  if (ran && !runs) {
    commands_run_ = false;
    status_ |= kHostHalted;
  }
  command_ = value & kCommandBits;
  if (runs && !ran) {
    status_ &= ~kHostHalted;
    pool_.wake();
  }
  // Nothing is kept through a loss of power, so a restore fails and the driver starts anew (4.23.2).
  if ((value & kSaveState) != 0) status_ &= ~kRestoreError;
  if ((value & kRestoreState) != 0) status_ |= kRestoreError;
  if (interrupts_on)
    for (unsigned i = 0; i < kInterrupters; ++i)
      if (interrupters_[i].asserted()) interrupt(i);
  update_wire();
}

/// The pointer is taken only while the ring is stopped (5.4.5).
void XhciController::write_command_ring(uint64_t offset, uint32_t value) {
  const bool upper = offset != kCommandRing;
  if (commands_run_) {
    if (upper || (value & (kRingStop | kRingAbort)) == 0) return;
    commands_run_ = commands_rung_ = false;
    command_stop_untold_ = ignore_upper_half_ = true;
    return pool_.wake();
  }
  if (!std::exchange(ignore_upper_half_, false) || !upper) set_half(command_ring_.dequeue, upper, value);
  if (upper) return;
  command_ring_.dequeue &= kRingPointer;
  command_ring_.cycle = (value & kRingCycle) != 0;
}

void XhciController::write_runtime(uint64_t offset, uint32_t value) {
  const uint64_t index = offset / kInterrupterBytes;
  if (index == 0 || index > kInterrupters) return;
  const auto number = static_cast<unsigned>(index - 1);
  if (interrupters_[number].write(dma(), offset % kInterrupterBytes, value)) {
    status_ |= kEventInterrupt;
    if (interrupters_[number].asserted()) interrupt(number);
  }
  update_wire();
  pool_.wake();  // there may be room for events again
}

void XhciController::ring_doorbell(unsigned slot, uint32_t value) {
  if (!running()) return;
  if (slot == 0) {
    if ((value & 0xff) != 0) return;
    commands_run_ = commands_rung_ = true;
  } else {
    slots_.ring(dma(), slot, value & 0xff);
  }
  pool_.wake();
}

/// From any thread. The endpoint is asked again even if it does not wait yet: the thread may be about to be
/// told that there is nothing.
void XhciController::device_ready(unsigned port, unsigned number) {
  const Lock held(mutex_);
  Endpoint* endpoint = slots_.endpoint(slots_.at_port(port), number * 2 + 1);
  if (endpoint == nullptr || endpoint->state != EndpointState::kRunning) return;
  endpoint->rung = true;
  pool_.wake();
}

// Life

bool XhciController::running() const {
  return (command_ & kRun) != 0 && (status_ & kHostControllerError) == 0;
}

void XhciController::reset_host() {
  command_ = 0;
  status_ = kHostHalted;
  notifications_ = configure_ = 0;
  contexts_ = 0;
  command_ring_ = {};
  commands_run_ = commands_rung_ = command_stop_untold_ = ignore_upper_half_ = false;
  for (Interrupter& interrupter : interrupters_) interrupter.reset();
  slots_.reset();
  ports_.reset();
  if (ports_.untold() != 0) status_ |= kPortChange;
  update_wire();
}

/// A ring that cannot be followed or an event that cannot be written: nothing more is done until a reset.
void XhciController::fail() { status_ |= kHostControllerError | kHostHalted; }

void XhciController::interrupt(unsigned interrupter) {
  if ((command_ & kInterruptEnable) == 0) return;
  if (uses_messages()) {
    send_message(interrupter);
    interrupters_[interrupter].message_sent();
  }
  update_wire();
}

void XhciController::update_wire() {
  bool level = false;
  for (const Interrupter& interrupter : interrupters_) level = level || interrupter.asserted();
  set_interrupt(level && (command_ & kInterruptEnable) != 0 && !uses_messages());
}

void XhciController::reset_device() {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  reset_host();
}

void XhciController::save_device(StateWriter& to) const {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  to(command_, status_, notifications_, configure_, contexts_, command_ring_.dequeue, command_ring_.cycle,
     commands_run_, command_stop_untold_);
  for (const Interrupter& interrupter : interrupters_) interrupter.save(to);
  slots_.save(to);
  ports_.save(to);
  for (unsigned port = 1; port <= kPorts; ++port)
    if (const usb::Device* device = ports_.plugged(port)) device->save(to);
}

void XhciController::load_device(StateReader& from) {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  from(command_, status_, notifications_, configure_, contexts_, command_ring_.dequeue, command_ring_.cycle,
       commands_run_, command_stop_untold_);
  command_ &= kCommandBits;
  status_ &= kStatusClearable | kHostHalted | kHostControllerError;
  contexts_ &= kContextsBits;
  command_ring_.dequeue &= kRingPointer | 0x3f;
  command_ring_.dequeue &= ~uint64_t{15};
  for (Interrupter& interrupter : interrupters_) interrupter.load(from);
  slots_.load(from);
  ports_.load(from);
  for (unsigned port = 1; port <= kPorts; ++port)
    if (usb::Device* device = ports_.plugged(port)) device->load(from);
  commands_rung_ = commands_run_;
}

void XhciController::loaded() {
  const Lock held(mutex_);
  update_wire();
  if (running()) pool_.wake();
}

/// Bus mastering may have been switched on, or messages on or off.
void XhciController::config_written(unsigned /*offset*/, unsigned /*size*/) {
  const Lock held(mutex_);
  update_wire();
  if (running()) pool_.wake();
}

}  // namespace eidolon::device::usb
