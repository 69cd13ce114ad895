#include "device/chipset/fw_cfg.h"

#include <algorithm>
#include <bit>

#include "base/bits.h"

namespace eidolon::device {

namespace {

constexpr std::array<uint8_t, 4> kSignatureBytes = {'Q', 'E', 'M', 'U'};
constexpr uint32_t kHasDma = 3;  ///< bit 0: the ports, bit 1: DMA
constexpr uint16_t kWriteChannel = 0x4000;
constexpr size_t kEntrySize = 64;

template <typename T>
void append_big_endian(FwCfg::Bytes& bytes, T value) {
  for (unsigned shift = sizeof(T) * 8; shift > 0; shift -= 8)
    bytes.push_back(static_cast<uint8_t>(value >> (shift - 8)));
}

}  // namespace

FwCfg::FwCfg(memory::GuestMemory& memory) : dma_(memory) {
  items_[kSignature] = Bytes(kSignatureBytes.begin(), kSignatureBytes.end());
  items_[kFeatures] = bytes_of(kHasDma);
  reset();
}

void FwCfg::reset() {
  Lock lock(mutex_);
  request_high_ = 0;
  select(kSignature, lock);
}

bool FwCfg::add_file(const std::string& name, Bytes bytes) {
  if (name.empty() || name.size() > kLongestName || files_.size() == kMostFiles) return false;
  return files_.try_emplace(name, File{std::move(bytes), nullptr}).second;
}

bool FwCfg::add_file(const std::string& name, size_t size, std::function<Bytes()> make) {
  if (!add_file(name, Bytes(size))) return false;
  files_[name].make = std::move(make);
  return true;
}

/// A count, and per file its size, its number, 16 bits that are zero, and its name in 56 bytes.
FwCfg::Bytes FwCfg::directory() const {
  Bytes bytes;
  append_big_endian(bytes, static_cast<uint32_t>(files_.size()));
  uint16_t key = kFirstFile;
  for (const auto& [name, file] : files_) {
    const size_t begin = bytes.size();
    append_big_endian(bytes, static_cast<uint32_t>(file.bytes.size()));
    append_big_endian(bytes, key++);
    append_big_endian(bytes, uint16_t{0});
    bytes.insert(bytes.end(), name.begin(), name.end());
    bytes.resize(begin + kEntrySize);
  }
  return bytes;
}

/// What is not there reads as zeros.
void FwCfg::select(uint16_t key, Lock& lock) {
  key &= static_cast<uint16_t>(~kWriteChannel);
  Bytes bytes;
  const size_t number = key - size_t{kFirstFile};
  if (key == kDirectory) {
    bytes = directory();
  } else if (key >= kFirstFile && number < files_.size()) {
    const File& file = std::next(files_.begin(), static_cast<std::ptrdiff_t>(number))->second;
    bytes = file.bytes;
    if (file.make) {
      lock.unlock();
      bytes = file.make();
      lock.lock();
      bytes.resize(file.bytes.size());
    }
  } else if (const auto item = items_.find(key); item != items_.end()) {
    bytes = item->second;
  }
  key_ = key;
  at_ = 0;
  selected_ = std::move(bytes);
}

uint8_t FwCfg::next() { return at_ < selected_.size() ? selected_[at_++] : 0; }

/// The next bytes, as many as there are of them.
FwCfg::Bytes FwCfg::take(size_t most) {
  const auto begin = static_cast<std::ptrdiff_t>(std::min<size_t>(at_, selected_.size()));
  const auto count =
      static_cast<std::ptrdiff_t>(std::min(most, selected_.size() - static_cast<size_t>(begin)));
  at_ = static_cast<uint32_t>(begin + count);
  return {selected_.begin() + begin, selected_.begin() + begin + count};
}

/// A wider read takes as many bytes, the first one as the lowest.
uint64_t FwCfg::io_read(uint64_t offset, unsigned size) {
  if (offset == 0) return mask_below(size * 8);
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= uint64_t{next()} << (8 * i);
  return value;
}

/// Writing data by the port is no longer offered by QEMU either.
void FwCfg::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset != 0 || size != 2) return;
  Lock lock(mutex_);
  select(static_cast<uint16_t>(value), lock);
}

void FwCfg::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(key_, at_, request_high_, selected_);
  to.end();
}

void FwCfg::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint16_t key = 0;
  uint32_t at = 0, high = 0;
  Bytes selected;
  from.begin(name());
  from(key, at, high, selected);
  from.end();
  if (from.failed()) return;
  key_ = key;
  at_ = at;
  request_high_ = high;
  selected_ = std::move(selected);
}

}  // namespace eidolon::device
