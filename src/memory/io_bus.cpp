#include "memory/io_bus.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bits.h"

namespace eidolon::memory {

Result<> IoBus::attach(uint64_t base, uint64_t length, IoHandler& handler, std::string name) {
  auto next = std::ranges::upper_bound(ranges_, base, {}, &Range::base);
  const bool overlaps_next = next != ranges_.end() && next->base - base < length;
  const bool overlaps_previous =
      next != ranges_.begin() && base - std::prev(next)->base < std::prev(next)->length;
  if (length == 0 || overlaps_next || overlaps_previous)
    return fail("device {} at {:#x} overlaps another device; give it a range of its own", name, base);
  ranges_.insert(next, Range{base, length, &handler, std::move(name)});
  return {};
}

void IoBus::detach(uint64_t base) {
  std::erase_if(ranges_, [base](const Range& range) { return range.base == base; });
}

const IoBus::Range* IoBus::find(uint64_t address) const {
  auto next = std::ranges::upper_bound(ranges_, address, {}, &Range::base);
  if (next == ranges_.begin()) return nullptr;
  const Range& range = *std::prev(next);
  return address - range.base < range.length ? &range : nullptr;
}

bool IoBus::free(uint64_t address, unsigned size) const {
  for (unsigned i = 0; i < size; ++i)
    if (find(address + i) != nullptr) return false;
  return true;
}

uint64_t IoBus::read(uint64_t address, unsigned size) const {
  const uint64_t value = read_handlers(address, size);
  if (observer_ != nullptr) [[unlikely]]
    observer_->after_read(address, size, value);
  return value;
}

void IoBus::write(uint64_t address, unsigned size, uint64_t value) const {
  if (observer_ != nullptr) [[unlikely]]
    observer_->before_write(address, size, value);
  write_handlers(address, size, value);
}

namespace {
unsigned bus_chunk(uint64_t address, unsigned left) {
  const unsigned aligned = 1u << std::min(std::countr_zero(address), 3);
  return std::min(aligned, std::bit_floor(std::min(left, 8u)));
}
}  // namespace

void IoBus::read_bytes(uint64_t address, uint8_t* to, unsigned size) const {
  for (unsigned done = 0; done < size;) {
    const unsigned chunk = bus_chunk(address + done, size - done);
    const uint64_t value = read(address + done, chunk);
    std::memcpy(to + done, &value, chunk);
    done += chunk;
  }
}

void IoBus::write_bytes(uint64_t address, const uint8_t* from, unsigned size) const {
  for (unsigned done = 0; done < size;) {
    const unsigned chunk = bus_chunk(address + done, size - done);
    uint64_t value = 0;
    std::memcpy(&value, from + done, chunk);
    write(address + done, chunk, value);
    done += chunk;
  }
}

uint64_t IoBus::read_handlers(uint64_t address, unsigned size) const {
  const Range* range = find(address);
  if (range != nullptr && size <= range->length - (address - range->base))
    return range->handler->io_read(address - range->base, size) & mask_below(size * 8);
  if (fallback_ != nullptr && range == nullptr && free(address, size))
    return fallback_->io_read(address, size) & mask_below(size * 8);
  if (size == 1) return 0xff;
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= read_handlers(address + i, 1) << (8 * i);
  return value;
}

void IoBus::write_handlers(uint64_t address, unsigned size, uint64_t value) const {
  const Range* range = find(address);
  if (range != nullptr && size <= range->length - (address - range->base)) {
    range->handler->io_write(address - range->base, size, value & mask_below(size * 8));
    return;
  }
  if (fallback_ != nullptr && range == nullptr && free(address, size)) {
    fallback_->io_write(address, size, value & mask_below(size * 8));
    return;
  }
  if (size == 1) return;
  for (unsigned i = 0; i < size; ++i) write_handlers(address + i, 1, value >> (8 * i) & 0xff);
}

}  // namespace eidolon::memory
