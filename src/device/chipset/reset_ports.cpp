#include "device/chipset/reset_ports.h"

#include "base/bits.h"

namespace eidolon::device {

namespace {
constexpr uint64_t kResetOffset = 1;
constexpr uint8_t kResetCpu = 0x04;
constexpr uint8_t kResetWritable = 0x0e;
constexpr uint8_t kFastReset = 0x01;
}  // namespace

uint64_t ResetControl::io_read(uint64_t offset, unsigned size) {
  if (offset == kResetOffset && size == 1) return value_;
  return mask_below(size * 8);
}

void ResetControl::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset != kResetOffset || size != 1) return;
  const uint8_t before = value_.exchange(static_cast<uint8_t>(value) & kResetWritable);
  if ((value & ~uint64_t{before} & kResetCpu) != 0) machine_.reset();
}

void ResetControl::save(StateWriter& to) const {
  to.begin(name(), 1);
  to(value_.load());
  to.end();
}

void ResetControl::load(StateReader& from) {
  uint8_t value = 0;
  from.begin(name());
  from(value);
  from.end();
  if (!from.failed()) value_ = value & kResetWritable;
}

uint64_t SystemControlPort::io_read(uint64_t /*offset*/, unsigned /*size*/) {
  return uint64_t{value_} | (a20_.open() ? kA20 : 0);
}

void SystemControlPort::reset() {
  value_ = 0;
  a20_.set(true);
}

void SystemControlPort::io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  const uint8_t before = value_.exchange(static_cast<uint8_t>(value & ~uint64_t{kA20}));
  a20_.set((value & kA20) != 0);
  if ((value & ~uint64_t{before} & kFastReset) != 0) machine_.reset();
}

void SystemControlPort::save(StateWriter& to) const {
  to.begin(name(), 1);
  to(value_.load(), a20_.open());
  to.end();
}

void SystemControlPort::load(StateReader& from) {
  uint8_t value = 0;
  bool open = false;
  from.begin(name());
  from(value, open);
  from.end();
  if (from.failed()) return;
  value_ = value & static_cast<uint8_t>(~kA20);
  a20_.set(open);
}

uint64_t DebugExit::io_read(uint64_t /*offset*/, unsigned size) { return mask_below(size * 8); }

void DebugExit::io_write(uint64_t offset, unsigned /*size*/, uint64_t value) {
  if (offset == 0) machine_.debug_exit(static_cast<uint32_t>(value));
}

}  // namespace eidolon::device
