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

GuestPhysical base_of(const Region& region) {
  // SAFETY: only read; std::atomic_ref of C++23 takes no const object.
  return std::atomic_ref(const_cast<Region&>(region).base).load(std::memory_order_relaxed);
}
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
  if (overlaps(base, length, nullptr)) return fail("guest memory region at {:#x} overlaps another", base);
  regions_.insert(std::ranges::upper_bound(regions_, base, {}, &Region::base),
                  Region{base, length, ram_ + used_, kind});
  used_ += length;
  return {};
}

Result<const Region*> GuestMemory::add_window(uint64_t length) {
  if ((length & kPageMask) != 0 || length > capacity_ - used_)
    return fail("there is no room for {} bytes of a device's memory", length);
  windows_.push_back(std::make_unique<Region>(Region{kNowhere, length, ram_ + used_, RegionKind::kRam}));
  used_ += length;
  return windows_.back().get();
}

bool GuestMemory::show_window(const Region& window, GuestPhysical base) {
  const bool possible = !windows_forbidden_ && !overlaps(base, window.length, &window);
  move_window(window, possible ? base : kNowhere);
  return possible;
}

void GuestMemory::hide_window(const Region& window) { move_window(window, kNowhere); }

/// Devices' threads may look it up meanwhile: host() reads the base once, so that whatever it finds is in the
/// window's memory.
void GuestMemory::move_window(const Region& window, GuestPhysical base) {
  if (window.base == base) return;
  settle_foreign_writes();  // while the addresses still mean what they did
  if (window.base != kNowhere) before_write(window.base, window.length);
  // SAFETY: the windows are objects of ours that are shown as const but are not.
  std::atomic_ref(const_cast<Region&>(window).base).store(base);
  map_changed();
}

bool GuestMemory::overlaps(GuestPhysical base, uint64_t length, const Region* but) const {
  const auto meets = [base, length](const Region& other) {
    return other.base != kNowhere && (base - other.base < other.length || other.base - base < length);
  };
  return std::ranges::any_of(regions_, meets) || std::ranges::any_of(windows_, [&](const auto& other) {
           return other.get() != but && meets(*other);
         });
}

uint64_t GuestMemory::ram_bytes() const {
  uint64_t sum = 0;
  for (const Region& region : regions_) sum += region.kind == RegionKind::kRam ? region.length : 0;
  return sum;
}

const Region* GuestMemory::find(GuestPhysical address) const {
  for (const Region& region : regions_)  // a handful: a scan beats a search
    if (address - region.base < region.length) return &region;
  for (const auto& window : windows_) {
    const GuestPhysical base = base_of(*window);
    if (base != kNowhere && address - base < window->length) return window.get();
  }
  return nullptr;
}

uint8_t* GuestMemory::host(GuestPhysical address, uint64_t length) const {
  const Region* region = find(address);
  if (region == nullptr) return nullptr;
  const uint64_t offset = address - base_of(*region);  // a window may have moved since it was found
  if (offset >= region->length || length > region->length - offset) return nullptr;
  return region->host + offset;
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
