#include "memory/guest_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/fence.h"

namespace eidolon::memory {

using x86::kPageMask;
using x86::kPageShift;
using x86::kPageSize;

namespace {
/// What the host's kernel can back with one page-table entry.
constexpr uint64_t kHugePage = uint64_t{2} << 20;
}  // namespace

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(uint64_t capacity) {
  std::unique_ptr<GuestMemory> memory(new GuestMemory);
  memory->capacity_ = align_up(capacity, kPageSize);
  memory->mapped_ = memory->capacity_ + kHugePage;  // room for aligned huge pages
  void* mapping = mmap(nullptr, memory->mapped_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    return fail("cannot map {} MiB of guest memory ({}); give the guest less with --memory", capacity >> 20,
                std::strerror(errno));
  memory->mapping_ = static_cast<uint8_t*>(mapping);
  // SAFETY: kHugePage more than the capacity is mapped.
  memory->ram_ = memory->mapping_ + (-reinterpret_cast<uint64_t>(mapping) & (kHugePage - 1));
  // A hint: fewer faults, and fewer misses of the host's TLB, which are dear on a host that is a guest
  // itself.
  (void)madvise(memory->ram_, memory->capacity_, MADV_HUGEPAGE);
  memory->page_flags_ = std::make_unique<std::atomic<uint8_t>[]>(memory->capacity_ >> kPageShift);
  return memory;
}

GuestMemory::~GuestMemory() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

Result<> GuestMemory::add_region(GuestPhysical base, uint64_t length, RegionKind kind) {
  if ((base | length) & kPageMask || length == 0)
    return fail("guest memory region at {:#x} is not page-aligned", base);
  if (length > capacity_ - used_)
    return fail("guest memory region at {:#x} exceeds the machine's memory", base);
  auto next = std::ranges::upper_bound(regions_, base, {}, &Region::base);
  if ((next != regions_.end() && next->base - base < length) ||
      (next != regions_.begin() && base - std::prev(next)->base < std::prev(next)->length))
    return fail("guest memory region at {:#x} overlaps another", base);
  regions_.insert(next, Region{base, length, ram_ + used_, kind});
  used_ += length;
  return {};
}

uint64_t GuestMemory::ram_bytes() const {
  uint64_t sum = 0;
  for (const Region& region : regions_) sum += region.kind == RegionKind::kRam ? region.length : 0;
  return sum;
}

const Region* GuestMemory::find(GuestPhysical address) const {
  for (const Region& region : regions_)  // a handful: a scan beats a search
    if (address - region.base < region.length) return &region;
  return nullptr;
}

uint8_t* GuestMemory::host(GuestPhysical address, uint64_t length) const {
  const Region* region = find(address);
  if (region == nullptr || length > region->length - (address - region->base)) return nullptr;
  return region->host + (address - region->base);
}

bool GuestMemory::read(GuestPhysical address, void* to, uint64_t length) const {
  const uint8_t* from = host(address, length);
  if (from == nullptr) return false;
  std::memcpy(to, from, length);
  return true;
}

bool GuestMemory::write(GuestPhysical address, const void* from, uint64_t length) {
  const Region* region = find(address);
  if (region == nullptr || region->kind != RegionKind::kRam) return false;
  return load(address, from, length);
}

bool GuestMemory::load(GuestPhysical address, const void* from, uint64_t length) {
  uint8_t* to = host(address, length);
  if (to == nullptr) return false;
  before_write(address, length);
  std::memcpy(to, from, length);
  return true;
}

std::atomic<uint8_t>* GuestMemory::flags(GuestPhysical address) const {
  const uint8_t* at = host(address, 1);
  return at == nullptr ? nullptr : &page_flags_[static_cast<uint64_t>(at - ram_) >> kPageShift];
}

bool GuestMemory::page_has_code(GuestPhysical address) const {
  const auto* flag = flags(address);
  return flag != nullptr && (flag->load(std::memory_order_relaxed) & kHasCode) != 0;
}

void GuestMemory::mark_code(GuestPhysical address) {
  if (auto* flag = flags(address)) flag->fetch_or(kHasCode, std::memory_order_relaxed);
}

void GuestMemory::clear_code(GuestPhysical address) {
  if (auto* flag = flags(address))
    flag->fetch_and(static_cast<uint8_t>(~kHasCode), std::memory_order_relaxed);
}

void GuestMemory::before_write(GuestPhysical address, uint64_t length) {
  if (observer_ == nullptr || length == 0) return;
  const GuestPhysical last = address + length - 1;
  for (GuestPhysical page = address & ~kPageMask; page <= last; page += kPageSize) {
    if (!page_has_code(page)) continue;
    const GuestPhysical from = std::max(address, page);
    observer_->code_written(from, std::min(last, page + kPageMask) - from + 1);
  }
}

void GuestMemory::after_foreign_write(GuestPhysical address, uint64_t length) {
  if (length == 0) return;
  // The processor marks a page and then reads its bytes; here they were written and now the mark is looked
  // at. One of the two sees the other.
  full_fence();
  bool any = false;
  const GuestPhysical last = address + length - 1;
  for (GuestPhysical page = address & ~kPageMask; page <= last; page += kPageSize) {
    if (!page_has_code(page)) continue;
    const GuestPhysical from = std::max(address, page);
    std::lock_guard lock(stale_mutex_);
    stale_.push_back({from, std::min(last, page + kPageMask) - from + 1});
    any = true;
  }
  if (any && wake_) wake_();
}

void GuestMemory::settle_foreign_writes() {
  std::vector<Stale> stale;
  {
    std::lock_guard lock(stale_mutex_);
    stale.swap(stale_);
  }
  for (const Stale& range : stale) before_write(range.address, range.length);
}

}  // namespace eidolon::memory
