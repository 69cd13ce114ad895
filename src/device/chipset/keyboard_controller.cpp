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
constexpr uint8_t kByteAuxInterrupt = 0x02;
constexpr uint8_t kByteSystem = 0x04;
constexpr uint8_t kByteKeyboardOff = 0x10;
constexpr uint8_t kByteAuxOff = 0x20;
constexpr uint8_t kByteTranslate = 0x40;

constexpr uint8_t kPortNotReset = 0x01;
constexpr uint8_t kPortA20 = 0x02;

enum Command : uint8_t {
  kReadMemory = 0x20,   ///< to 0x3f
  kWriteMemory = 0x60,  ///< to 0x7f
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

KeyboardController::KeyboardController(IrqLine& keyboard_irq, IrqLine& mouse_irq, MachineControl& machine,
                                       A20Gate& a20)
    : keyboard_irq_(keyboard_irq), mouse_irq_(mouse_irq), machine_(machine), a20_(a20) {
  reset();
}

void KeyboardController::reset() {
  std::lock_guard lock(mutex_);
  power_on();
}

/// The command byte is as a BIOS leaves it: kernels that are started without one count on translation.
void KeyboardController::power_on() {
  keyboard_.reset();
  mouse_.reset();
  translation_.reset();
  output_ = 0;
  status_ = kStatusSystem | kStatusUnlocked;
  memory_ = {kByteInterrupt | kByteSystem | kByteTranslate | kByteAuxOff};
  output_port_ = 0xcc | kPortNotReset;
  awaiting_ = 0;
  update_irq();
}

void KeyboardController::put(uint8_t byte, uint8_t status) {
  output_ = byte;
  status_ = static_cast<uint8_t>((status_ & ~(kStatusAux | kStatusTimeout)) | kStatusFull | status);
}

/// Takes the next byte of a device that may send, if there is room for it. Translation may swallow one.
void KeyboardController::fill() {
  while ((status_ & kStatusFull) == 0) {
    if ((memory_[0] & kByteKeyboardOff) == 0 && keyboard_.has_byte()) {
      const auto byte = keyboard_.take();
      const auto code = (memory_[0] & kByteTranslate) != 0 ? translation_.feed(*byte) : byte;
      if (code) put(*code);
    } else if ((memory_[0] & kByteAuxOff) == 0 && mouse_.has_byte()) {
      put(*mouse_.take(), kStatusAux);
    } else {
      break;
    }
  }
}

/// The lines are edges to most guests: a byte that follows another must fall in between, which it does where
/// this is called before fill() too.
void KeyboardController::update_irq() {
  const bool full = (status_ & kStatusFull) != 0, aux = (status_ & kStatusAux) != 0;
  keyboard_irq_.set(full && !aux && (memory_[0] & kByteInterrupt) != 0);
  mouse_irq_.set(full && aux && (memory_[0] & kByteAuxInterrupt) != 0);
}

KeyboardController::Asked KeyboardController::command(uint8_t value) {
  status_ |= kStatusCommand;
  awaiting_ = 0;
  if (value >= kReadMemory && value < kReadMemory + memory_.size()) {
    put(memory_[value - kReadMemory]);
    return {};
  }
  if (value >= kWriteMemory && value < kWriteMemory + memory_.size()) {
    awaiting_ = value;
    return {};
  }
  switch (value) {
    case kAuxOff:
      memory_[0] |= kByteAuxOff;
      break;
    case kAuxOn:
      memory_[0] &= static_cast<uint8_t>(~kByteAuxOff);
      break;
    case kTestAux:
    case kTestKeyboard:
      put(0x00);
      break;
    case kSelfTest:
      status_ |= kStatusSystem;
      put(0x55);
      break;
    case kKeyboardOff:
      memory_[0] |= kByteKeyboardOff;
      break;
    case kKeyboardOn:
      memory_[0] &= static_cast<uint8_t>(~kByteKeyboardOff);
      break;
    case kReadInput:
      put(0x80);
      break;  // not locked
    case kReadOutput:
      put(static_cast<uint8_t>(output_port_ | (a20_.open() ? kPortA20 : 0)));
      break;
    case kA20Off:
    case kA20On:
      return {.a20 = value == kA20On};
    case kWriteOutput:
    case kLoopKeyboard:
    case kLoopAux:
    case kToAux:
      awaiting_ = value;
      break;
    default:
      return {.reset = value >= kPulse && (value & kPortNotReset) == 0};
  }
  return {};
}

KeyboardController::Asked KeyboardController::data(uint8_t value) {
  status_ &= static_cast<uint8_t>(~kStatusCommand);
  const uint8_t command = awaiting_;
  awaiting_ = 0;
  if (command >= kWriteMemory && command < kWriteMemory + memory_.size()) {
    memory_[command - kWriteMemory] = value;
    if (command == kWriteMemory)
      status_ = static_cast<uint8_t>((status_ & ~kStatusSystem) | (value & kByteSystem));
    return {};
  }
  switch (command) {
    case kWriteOutput:
      output_port_ = value & static_cast<uint8_t>(~kPortA20);
      return {.reset = (value & kPortNotReset) == 0, .a20 = (value & kPortA20) != 0};
    case kLoopKeyboard:
      put(value);
      break;
    case kLoopAux:
      put(value, kStatusAux);
      break;
    case kToAux:
      memory_[0] &= static_cast<uint8_t>(~kByteAuxOff);  // sending opens the line
      mouse_.write(value);
      break;
    default:
      memory_[0] &= static_cast<uint8_t>(~kByteKeyboardOff);
      keyboard_.write(value);
      break;
  }
  return {};
}

void KeyboardController::ask(const Asked& asked) {
  if (asked.a20) a20_.set(*asked.a20);
  if (asked.reset) machine_.reset();
}

uint64_t KeyboardController::io_read(uint64_t /*offset*/, unsigned /*size*/) {
  std::lock_guard lock(mutex_);
  const uint8_t value = output_;
  status_ &= static_cast<uint8_t>(~(kStatusFull | kStatusAux | kStatusTimeout));
  update_irq();
  fill();
  update_irq();
  return value;
}

void KeyboardController::io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  Asked asked;
  {
    std::lock_guard lock(mutex_);
    asked = data(static_cast<uint8_t>(value));
    fill();
    update_irq();
  }
  ask(asked);
}

void KeyboardController::key(const input::KeyEvent& event) {
  std::lock_guard lock(mutex_);
  keyboard_.key(event);
  fill();
  update_irq();
}

bool KeyboardController::keyboard_ready() const {
  std::lock_guard lock(mutex_);
  return keyboard_.scanning() && (memory_[0] & kByteKeyboardOff) == 0;
}

void KeyboardController::pointer(const input::PointerEvent& event) {
  std::lock_guard lock(mutex_);
  mouse_.pointer(event);
  fill();
  update_irq();
}

bool KeyboardController::pointer_ready() const {
  std::lock_guard lock(mutex_);
  return mouse_.reporting() && (memory_[0] & kByteAuxOff) == 0;
}

uint64_t KeyboardController::status_read(uint64_t /*offset*/, unsigned /*size*/) {
  std::lock_guard lock(mutex_);
  return status_;
}

void KeyboardController::status_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  Asked asked;
  {
    std::lock_guard lock(mutex_);
    asked = command(static_cast<uint8_t>(value));
    fill();
    update_irq();
  }
  ask(asked);
}

void KeyboardController::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 2);
  to(output_, status_, memory_, output_port_, awaiting_, translation_.release_);
  keyboard_.save(to);
  mouse_.save(to);
  to.end();
}

void KeyboardController::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  if (from.begin(name()) != 2) from.fail();
  from(output_, status_, memory_, output_port_, awaiting_, translation_.release_);
  keyboard_.load(from);
  mouse_.load(from);
  from.end();
  if (from.failed()) {
    power_on();
    return;
  }
  output_port_ &= static_cast<uint8_t>(~kPortA20);
  fill();
  update_irq();
}

}  // namespace eidolon::device
