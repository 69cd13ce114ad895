#include "device/chipset/pm_block.h"

#include <algorithm>

#include "base/bits.h"

namespace eidolon::device {

namespace {

enum Offset : unsigned {
  kGpe0Status = 0x20,
  kGpe0Enable = 0x28,
  kSmiEnable = 0x30,
  kTco = 0x60,
  kTcoTimer = 0x12
};

constexpr unsigned kGpe0Bytes = 8;

constexpr bool is_event_status(unsigned offset) {
  return offset >= kGpe0Status && offset < kGpe0Status + kGpe0Bytes;
}

constexpr uint8_t kGlobalSmi = 1u << 0, kApmcSmi = 1u << 5;  ///< GBL_SMI_EN and APMC_EN, locked

/// The registers that keep what is written: GPE0_EN, and of TCO the data, message and timer bytes.
constexpr bool is_storage(unsigned offset) {
  if (offset >= kGpe0Enable && offset < kGpe0Enable + kGpe0Bytes) return true;
  const unsigned tco = offset - kTco;
  return offset >= kTco && (tco == 2 || tco == 3 || (tco >= 8 && tco <= 0x10) || tco == 0x12 || tco == 0x13);
}

}  // namespace

void PmBlock::reset() {
  std::lock_guard lock(mutex_);
  bytes_.fill(0);
  bytes_[kSmiEnable] = kGlobalSmi | kApmcSmi;
  bytes_[kTco + kTcoTimer] = 4;
  update_sci();
}

void PmBlock::raise_event(unsigned number) {
  if (number >= kGpe0Bytes * 8) return;
  std::lock_guard lock(mutex_);
  bytes_[kGpe0Status + number / 8] |= static_cast<uint8_t>(1u << number % 8);
  update_sci();
}

void PmBlock::update_sci() {
  bool asserted = false;
  for (unsigned i = 0; i < kGpe0Bytes; ++i)
    asserted |= (bytes_[kGpe0Status + i] & bytes_[kGpe0Enable + i]) != 0;
  if (sci_ != nullptr) sci_->set(asserted);
}

uint64_t PmBlock::io_read(uint64_t offset, unsigned size) {
  if (offset < AcpiPm::kPorts) return fixed_.io_read(offset, size);
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size && offset + i < kPorts; ++i) value |= uint64_t{bytes_[offset + i]} << (8 * i);
  return value;
}

void PmBlock::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset < AcpiPm::kPorts) return fixed_.io_write(offset, size, value);
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < size && offset + i < kPorts; ++i) {
    const auto byte = static_cast<uint8_t>(value >> (8 * i));
    if (is_storage(static_cast<unsigned>(offset) + i)) bytes_[offset + i] = byte;
    if (is_event_status(static_cast<unsigned>(offset) + i)) bytes_[offset + i] &= static_cast<uint8_t>(~byte);
  }
  update_sci();
}

void PmBlock::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(bytes_);
  to.end();
}

void PmBlock::load(StateReader& from) {
  Bytes loaded{};
  from.begin(name());
  from(loaded);
  from.end();
  if (from.failed()) return;
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < kPorts; ++i)
    if (is_storage(i) || is_event_status(i)) bytes_[i] = loaded[i];
  update_sci();
}

}  // namespace eidolon::device
