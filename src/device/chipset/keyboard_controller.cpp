#include "device/chipset/keyboard_controller.h"

namespace eidolon::device {

namespace {

constexpr uint8_t kStatusFull = 0x01;     ///< the output buffer holds a byte
constexpr uint8_t kStatusSystem = 0x04;   ///< the self-test has passed
constexpr uint8_t kStatusCommand = 0x08;  ///< the last write was a command
constexpr uint8_t kStatusUnlocked = 0x10;
constexpr uint8_t kStatusAux = 0x20;
constexpr uint8_t kStatusTimeout = 0x40;

constexpr uint8_t kByteInterrupt = 0x01;
constexpr uint8_t kByteSystem = 0x04;
constexpr uint8_t kByteKeyboardOff = 0x10;
constexpr uint8_t kByteAuxOff = 0x20;

constexpr uint8_t kPortNotReset = 0x01;
constexpr uint8_t kPortA20 = 0x02;

constexpr uint8_t kResend = 0xfe;
constexpr uint8_t kClockStuckHigh = 0x02;

enum Command : uint8_t {
  kReadByte = 0x20,
  kWriteByte = 0x60,
  kAuxOff = 0xa7,
  kAuxOn = 0xa8,
  kTestAux = 0xa9,
  kSelfTest = 0xaa,
  kTestKeyboard = 0xab,
  kKeyboardOff = 0xad,
  kKeyboardOn = 0xae,
  kReadInput = 0xc0,
  kReadOutput = 0xd0,
  kWriteOutput = 0xd1,
  kLoopKeyboard = 0xd2,
  kLoopAux = 0xd3,
  kToAux = 0xd4,
  kA20Off = 0xdd,
  kA20On = 0xdf,
  kPulse = 0xf0,  ///< to 0xff: each clear bit pulses a line of the output port
};

}  // namespace

KeyboardController::KeyboardController(IrqLine& irq, MachineControl& machine) : irq_(irq), machine_(machine) {
  reset();
}

void KeyboardController::reset() {
  std::lock_guard lock(mutex_);
  output_ = 0;
  status_ = kStatusSystem | kStatusUnlocked;
  command_byte_ = kByteSystem | kByteKeyboardOff | kByteAuxOff;
  output_port_ = 0xcc | kPortNotReset | kPortA20;
  awaiting_ = 0;
  update_irq();
}

void KeyboardController::put(uint8_t byte, uint8_t status) {
  output_ = byte;
  status_ = static_cast<uint8_t>((status_ & ~(kStatusAux | kStatusTimeout)) | kStatusFull | status);
}

void KeyboardController::update_irq() {
  const bool full = (status_ & (kStatusFull | kStatusAux)) == kStatusFull;
  irq_.set(full && (command_byte_ & kByteInterrupt) != 0);
}

/// Returns whether the machine is to be reset.
bool KeyboardController::command(uint8_t value) {
  status_ |= kStatusCommand;
  awaiting_ = 0;
  switch (value) {
    case kReadByte:
      put(command_byte_);
      break;
    case kAuxOff:
      command_byte_ |= kByteAuxOff;
      break;
    case kAuxOn:
      command_byte_ &= static_cast<uint8_t>(~kByteAuxOff);
      break;
    case kTestAux:
      put(kClockStuckHigh);
      break;  // there is no second port
    case kSelfTest:
      status_ |= kStatusSystem;
      put(0x55);
      break;
    case kTestKeyboard:
      put(0x00);
      break;
    case kKeyboardOff:
      command_byte_ |= kByteKeyboardOff;
      break;
    case kKeyboardOn:
      command_byte_ &= static_cast<uint8_t>(~kByteKeyboardOff);
      break;
    case kReadInput:
      put(0x80);
      break;  // not locked
    case kReadOutput:
      put(output_port_);
      break;
    case kA20Off:
      output_port_ &= static_cast<uint8_t>(~kPortA20);
      break;
    case kA20On:
      output_port_ |= kPortA20;
      break;
    case kWriteByte:
    case kWriteOutput:
    case kLoopKeyboard:
    case kLoopAux:
    case kToAux:
      awaiting_ = value;
      break;
    default:
      return value >= kPulse && (value & kPortNotReset) == 0;
  }
  return false;
}

bool KeyboardController::data(uint8_t value) {
  status_ &= static_cast<uint8_t>(~kStatusCommand);
  const uint8_t command = awaiting_;
  awaiting_ = 0;
  switch (command) {
    case kWriteByte:
      command_byte_ = value;
      status_ = static_cast<uint8_t>((status_ & ~kStatusSystem) | (value & kByteSystem));
      break;
    case kWriteOutput:
      output_port_ = value;
      return (value & kPortNotReset) == 0;
    // Without a second port its loop comes back as the keyboard's, which tells drivers so.
    case kLoopKeyboard:
    case kLoopAux:
      put(value);
      break;
    case kToAux:
      put(kResend, kStatusTimeout | kStatusAux);
      break;
    default:
      put(kResend, kStatusTimeout);
      break;
  }
  return false;
}

uint64_t KeyboardController::io_read(uint64_t /*offset*/, unsigned /*size*/) {
  std::lock_guard lock(mutex_);
  status_ &= static_cast<uint8_t>(~(kStatusFull | kStatusAux | kStatusTimeout));
  update_irq();
  return output_;
}

void KeyboardController::io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  bool reset_asked = false;
  {
    std::lock_guard lock(mutex_);
    reset_asked = data(static_cast<uint8_t>(value));
    update_irq();
  }
  if (reset_asked) machine_.reset();
}

uint64_t KeyboardController::StatusWindow::io_read(uint64_t /*offset*/, unsigned /*size*/) {
  std::lock_guard lock(owner_.mutex_);
  return owner_.status_;
}

void KeyboardController::StatusWindow::io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  bool reset_asked = false;
  {
    std::lock_guard lock(owner_.mutex_);
    reset_asked = owner_.command(static_cast<uint8_t>(value));
    owner_.update_irq();
  }
  if (reset_asked) owner_.machine_.reset();
}

void KeyboardController::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(output_, status_, command_byte_, output_port_, awaiting_);
  to.end();
}

void KeyboardController::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint8_t output = 0, status = 0, command_byte = 0, output_port = 0, awaiting = 0;
  from.begin(name());
  from(output, status, command_byte, output_port, awaiting);
  from.end();
  if (from.failed()) return;
  output_ = output;
  status_ = status;
  command_byte_ = command_byte;
  output_port_ = output_port;
  awaiting_ = awaiting;
  update_irq();
}

}  // namespace eidolon::device
