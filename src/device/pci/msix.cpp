#include "device/pci/msix.h"

#include <algorithm>
#include <bit>

#include "base/bits.h"
#include "device/pci/registers.h"
#include "interrupt/msi.h"

namespace eidolon::device::pci {

namespace {
constexpr unsigned kControl = 2, kTable = 4, kPendingBits = 8, kLength = 12;
constexpr uint16_t kEnable = 1u << 15, kFunctionMask = 1u << 14;
constexpr unsigned kEntryBytes = 16, kVectorControl = 3;
constexpr uint32_t kVectorMasked = 1;
constexpr std::array<uint32_t, 4> kWritable = {~3u, ~0u, ~0u, kVectorMasked};
}  // namespace

MsiX::MsiX(ConfigSpace& config, unsigned bar, unsigned vectors)
    : at_(config.add_capability(kCapabilityMsiX, kLength)),
      bar_size_(std::max<uint64_t>(0x1000, std::bit_ceil(uint64_t{vectors} * kEntryBytes) * 2)),
      entries_(vectors, kReset) {
  config.define<uint16_t>(at_ + kControl, static_cast<uint16_t>(vectors - 1), kEnable | kFunctionMask);
  config.define<uint32_t>(at_ + kTable, bar);
  config.define<uint32_t>(at_ + kPendingBits, static_cast<uint32_t>(bar_size_ / 2) | bar);
}

void MsiX::config_changed(ConfigSpace& config) {
  const uint16_t control = config.get<uint16_t>(at_ + kControl);
  std::lock_guard lock(mutex_);
  enabled_.store((control & kEnable) != 0, std::memory_order_release);
  masked_ = (control & kFunctionMask) != 0;
  for (Entry& entry : entries_) deliver_if_open(entry);
}

void MsiX::send(unsigned vector) {
  std::lock_guard lock(mutex_);
  if (vector >= entries_.size() || !enabled()) return;
  entries_[vector].pending = true;
  deliver_if_open(entries_[vector]);
}

void MsiX::deliver_if_open(Entry& entry) {
  if (!entry.pending || !enabled() || masked_ || (entry.words[kVectorControl] & kVectorMasked) != 0) return;
  entry.pending = false;
  const auto message =
      interrupt::msi_message(entry.words[0] | uint64_t{entry.words[1]} << 32, entry.words[2]);
  if (message && apics_ != nullptr) apics_->deliver(*message);
}

uint32_t MsiX::read_word(uint64_t offset) const {
  if (offset >= bar_size_ / 2) {
    uint32_t bits = 0;
    const uint64_t first = (offset - bar_size_ / 2) * 8;
    for (uint64_t i = 0; i < 32 && first + i < entries_.size(); ++i)
      bits |= uint32_t{entries_[first + i].pending} << i;
    return bits;
  }
  const uint64_t index = offset / kEntryBytes;
  return index < entries_.size() ? entries_[index].words[offset % kEntryBytes / 4] : 0;
}

void MsiX::write_word(uint64_t offset, uint32_t value) {
  const uint64_t index = offset / kEntryBytes;
  if (offset >= bar_size_ / 2 || index >= entries_.size()) return;
  const unsigned word = offset % kEntryBytes / 4;
  entries_[index].words[word] = value & kWritable[word];
  deliver_if_open(entries_[index]);
}

/// Words and pairs of words are what software may use (6.8.2); of others the aligned part is read.
uint64_t MsiX::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  if (size == 8)
    return read_word(offset & ~uint64_t{3}) | uint64_t{read_word((offset & ~uint64_t{3}) + 4)} << 32;
  return uint64_t{read_word(offset & ~uint64_t{3})} >> ((offset & 3) * 8) & mask_below(size * 8);
}

void MsiX::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (size < 4 || offset % 4 != 0) return;
  std::lock_guard lock(mutex_);
  write_word(offset, static_cast<uint32_t>(value));
  if (size == 8) write_word(offset + 4, static_cast<uint32_t>(value >> 32));
}

void MsiX::reset() {
  std::lock_guard lock(mutex_);
  std::ranges::fill(entries_, kReset);
}

void MsiX::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) to(entry.words, entry.pending);
}

void MsiX::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    from(entry.words, entry.pending);
    for (unsigned i = 0; i < 4; ++i) entry.words[i] &= kWritable[i];
  }
}

}  // namespace eidolon::device::pci
