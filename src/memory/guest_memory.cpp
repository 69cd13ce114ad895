#include "memory/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/fence.h"
#include "base/try.h"

namespace eidolon::memory {

using x86::kPageMask;
using x86::kPageShift;
using x86::kPageSize;

namespace {
/// What the host's kernel can back with one page-table entry.
constexpr uint64_t kHugePage = uint64_t{2} << 20;

constexpr uint64_t viewer_bit(unsigned viewer) { return viewer < 64 ? uint64_t{1} << viewer : 0; }

/// Calls visit(from, bytes) for the part of the range on each page.
template <typename Visitor>
void for_each_page(GuestPhysical address, uint64_t length, Visitor visit) {
  const GuestPhysical last = address + length - 1;
  for (GuestPhysical page = address & ~kPageMask; page <= last; page += kPageSize) {
    const GuestPhysical from = std::max(address, page);
    visit(from, std::min(last, page + kPageMask) - from + 1);
  }
}

/// A field that another thread may be changing. What is read after it is no older.
template <typename T>
T now(const T& field) {
  // SAFETY: only read; std::atomic_ref of C++23 takes no const object.
  return std::atomic_ref(const_cast<T&>(field)).load(std::memory_order_acquire);
}
}  // namespace

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(uint64_t capacity, Backing backing) {
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
  if (backing == Backing::kShared) EIDOLON_TRY(memory->share());
  // A hint: fewer faults, and fewer misses of the host's TLB, which are dear on a host that is a guest
  // itself.
  (void)madvise(memory->ram_, memory->capacity_, MADV_HUGEPAGE);
  void* marks = mmap(nullptr, memory->marks_bytes(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (marks == MAP_FAILED) return fail("cannot map the marks of guest memory ({})", std::strerror(errno));
  // SAFETY: fresh memory is zero, and a Marks of zeros is an empty one.
  memory->marks_ = static_cast<Marks*>(marks);
  return memory;
}

/// Puts a file in the place of what was mapped.
Result<> GuestMemory::share() {
  // Sealed, so that nobody who has it takes pages from under our accesses.
  shared_ = FileDescriptor(memfd_create("eidolon-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!shared_.valid() || ftruncate(shared_.get(), static_cast<off_t>(capacity_)) != 0 ||
      fcntl(shared_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail("cannot make {} MiB of guest memory to share ({}); give the guest less with --memory",
                capacity_ >> 20, std::strerror(errno));
  // SAFETY: over pages that are mapped, are ours, and that nobody has used.
  const void* mapping =
      mmap(ram_, capacity_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, shared_.get(), 0);
  if (mapping == MAP_FAILED)
    return fail("cannot map {} MiB of guest memory to share ({}); give the guest less with --memory",
                capacity_ >> 20, std::strerror(errno));
  return {};
}

GuestMemory::~GuestMemory() {
  ahead_.reset();
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
  if (marks_ != nullptr) munmap(marks_, marks_bytes());
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
  bool possible = false;
  bool moves = false;
  change_map([&] {
    possible = !windows_forbidden_ && !overlaps(base, window.length, &window);
    moves = move_window(window, possible ? base : kNowhere);
  });
  if (moves) map_changed();
  return possible;
}

void GuestMemory::hide_window(const Region& window) {
  bool moves = false;
  change_map([&] { moves = move_window(window, kNowhere); });
  if (moves) map_changed();
}

/// Whether it was elsewhere. What is known of translations goes by address, so they are dropped.
bool GuestMemory::move_window(const Region& window, GuestPhysical base) {
  if (window.base == base) return false;
  if (window.base != kNowhere) after_map_change(window.base, window.host, window.length);
  // SAFETY: the windows are objects of ours that are shown as const but are not.
  std::atomic_ref(const_cast<Region&>(window).base).store(base);
  return true;
}

void GuestMemory::after_map_change(GuestPhysical base, const uint8_t* host, uint64_t length) {
  for (uint64_t offset = 0; offset < length; offset += kPageSize) {
    const Marks& page = marks_[static_cast<uint64_t>(host + offset - ram_) >> kPageShift];
    for (uint64_t code = page.code.load(); code != 0; code &= code - 1)
      post(static_cast<unsigned>(std::countr_zero(code)), {base + offset, kPageSize, Stale::What::kUnmapped});
  }
}

bool GuestMemory::overlaps(GuestPhysical base, uint64_t length, const Region* but) const {
  const auto meets = [base, length](const Region& other) {
    return other.base != kNowhere && (base - other.base < other.length || other.base - base < length);
  };
  return std::ranges::any_of(regions_, meets) || std::ranges::any_of(windows_, [&](const auto& other) {
           return other.get() != but && meets(*other);
         });
}

std::vector<Region> GuestMemory::map() const {
  const std::lock_guard lock(map_mutex_);
  std::vector<Region> shown = regions_;
  for (const auto& window : windows_)
    if (window->base != kNowhere) shown.push_back(*window);
  return shown;
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
    const GuestPhysical base = now(window->base);
    if (base != kNowhere && address - base < window->length) return window.get();
  }
  return nullptr;
}

std::optional<GuestMemory::Place> GuestMemory::locate(GuestPhysical address) const {
  for (;;) {
    const uint64_t version = map_version_.load(std::memory_order_acquire);
    std::optional<Place> place;
    if (const Region* region = find(address)) {
      const uint64_t offset = address - now(region->base);  // a window may have moved since it was found
      if (offset < region->length)
        place = {now(region->host) + offset, region->length - offset, now(region->kind)};
    }
    if (version % 2 == 0 && map_version_.load(std::memory_order_acquire) == version) [[likely]]
      return place;
    __builtin_ia32_pause();
  }
}

uint8_t* GuestMemory::host(GuestPhysical address, uint64_t length) const {
  const auto place = locate(address);
  return place && length <= place->left ? place->host : nullptr;
}

bool GuestMemory::read(GuestPhysical address, void* to, uint64_t length) const {
  const uint8_t* from = host(address, length);
  if (from == nullptr) return false;
  std::memcpy(to, from, length);
  return true;
}

bool GuestMemory::write(GuestPhysical address, const void* from, uint64_t length) {
  const auto place = locate(address);
  return place && place->kind == RegionKind::kRam && load(address, from, length);
}

bool GuestMemory::load(GuestPhysical address, const void* from, uint64_t length) {
  uint8_t* to = host(address, length);
  if (to == nullptr) return false;
  std::memcpy(to, from, length);
  if (length == 0) return true;
  for_each_page(address, length, [this](GuestPhysical part, uint64_t bytes) {
    note_write(marks(part));
    for (uint64_t code = marks(part)->code.load(); code != 0; code &= code - 1)
      viewers_[static_cast<unsigned>(std::countr_zero(code))].observer->code_written(part, bytes);
  });
  return true;
}

GuestMemory::Marks* GuestMemory::marks(GuestPhysical address) const {
  const uint8_t* at = host(address, 1);
  return at == nullptr ? nullptr : &marks_[static_cast<uint64_t>(at - ram_) >> kPageShift];
}

bool GuestMemory::page_has_code(GuestPhysical address) const {
  const Marks* page = marks(address);
  return page != nullptr && page->code.load(std::memory_order_relaxed) != 0;
}

bool GuestMemory::has_code_of(GuestPhysical address, unsigned viewer) const {
  const Marks* page = marks(address);
  return page != nullptr && (page->code.load(std::memory_order_relaxed) & viewer_bit(viewer)) != 0;
}

void GuestMemory::mark_code(GuestPhysical address, unsigned viewer) {
  if (Marks* page = marks(address)) page->code.fetch_or(viewer_bit(viewer));
}

void GuestMemory::clear_code(GuestPhysical address, unsigned viewer) {
  if (Marks* page = marks(address)) page->code.fetch_and(~viewer_bit(viewer));
}

bool GuestMemory::enter_writer(GuestPhysical address, unsigned viewer) {
  Marks* page = marks(address);
  if (page == nullptr) return false;
  // Also where it is refused: the store that is about to come by before_write() has to be waited for as well.
  if ((page->writers.load(std::memory_order_relaxed) & viewer_bit(viewer)) == 0)
    page->writers.fetch_or(viewer_bit(viewer));
  note_write(page);
  if (ahead_) ahead_->touched(static_cast<uint64_t>(page - marks_) << kPageShift);
  return page->code.load() == 0;
}

void GuestMemory::leave_writer(GuestPhysical address, unsigned viewer) {
  if (Marks* page = marks(address)) page->writers.fetch_and(~viewer_bit(viewer));
}

uint64_t GuestMemory::writers(GuestPhysical address) const {
  const Marks* page = marks(address);
  return page == nullptr ? 0 : page->writers.load();
}

void GuestMemory::log_writes(bool on) {
  if (on) {
    if (dirty_pages_ == nullptr) dirty_pages_ = std::make_unique<DirtyPages>(capacity_ >> kPageShift);
    dirty_pages_->take([](uint64_t /*page*/) {});
  }
  logs_writes_.store(on);
}

void GuestMemory::touch(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  // SAFETY: read only, as the host's processor does it.
  const auto look = [&bytes](uint64_t at) { (void)*static_cast<const volatile uint8_t*>(&bytes[at]); };
  for (uint64_t at = 0; at < bytes.size(); at += kPageSize) look(at);
  look(bytes.size() - 1);
}

void GuestMemory::before_write(GuestPhysical address, uint64_t length, unsigned viewer) {
  if (length == 0) return;
  for_each_page(address, length, [&](GuestPhysical from, uint64_t bytes) {
    const Marks* page = marks(from);
    if (page == nullptr) return;
    note_write(page);
    const uint64_t code = page->code.load(std::memory_order_relaxed);
    if (code == 0) return;
    CodeObserver* observer = viewers_[viewer].observer;
    if (observer != nullptr) observer->release_extended_state();
    if ((code & viewer_bit(viewer)) != 0 && observer != nullptr) observer->code_written(from, bytes);
    // The others must find the new bytes, which are not there yet.
    if ((code & ~viewer_bit(viewer)) != 0) post(viewer, {from, bytes, Stale::What::kOwnWrite});
  });
}

void GuestMemory::after_foreign_write(GuestPhysical address, uint64_t length) {
  if (length == 0) return;
  // A processor marks a page and then reads its bytes; here they were written and now the mark is looked
  // at. One of the two sees the other.
  full_fence();
  for_each_page(address, length, [&](GuestPhysical from, uint64_t bytes) {
    if (const Marks* page = logs_writes() ? marks(from) : nullptr) note_write(page);
    tell_others({from, bytes}, kMostViewers);
  });
}

void GuestMemory::tell_others(const Stale& stale, unsigned but) {
  const Marks* page = marks(stale.address);
  if (page == nullptr) return;
  uint64_t code = page->code.load();
  for (; code != 0; code &= code - 1) {
    const auto viewer = static_cast<unsigned>(std::countr_zero(code));
    if (viewer != but) post(viewer, {stale.address, stale.length});
  }
}

void GuestMemory::post(unsigned viewer, const Stale& stale) {
  Viewer& to = viewers_[viewer];
  {
    std::lock_guard lock(to.mutex);
    to.stale.push_back(stale);
  }
  if (to.wake) to.wake();
}

void GuestMemory::settle_foreign_writes(unsigned viewer) {
  Viewer& self = viewers_[viewer];
  std::vector<Stale> stale;
  {
    std::lock_guard lock(self.mutex);
    stale.swap(self.stale);
  }
  for (const Stale& range : stale) {
    if (range.what == Stale::What::kOwnWrite) {
      full_fence();
      tell_others(range, viewer);
    } else if (self.observer != nullptr) {
      if (range.what == Stale::What::kUnmapped)
        self.observer->code_unmapped(range.address, range.length);
      else
        self.observer->code_written(range.address, range.length);
    }
  }
}

}  // namespace eidolon::memory
