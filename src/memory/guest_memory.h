// Guest-physical memory: RAM and ROM in one mapping of the monitor, in huge pages where the host has them;
// everything else is MMIO and belongs to an IoBus.
//
// Processors are viewers of it, by their numbers. Each page of RAM carries two sets of viewers. `code`: whose
// engine holds translations of the page's bytes. Whoever writes such a page must tell their CodeObservers, so
// no virtual TLB may hold a writable entry for it. `writers`: whose virtual TLB may hold a writable entry.
// A viewer enters itself as a writer and then asks for code; one that translates enters itself under code and
// then has the writers' entries taken away: one of the two sees the other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "memory/dirty_pages.h"
#include "memory/populate_ahead.h"
#include "x86/paging.h"

namespace eidolon::memory {

using GuestPhysical = uint64_t;

/// Told before bytes of a page that has translations change, or after another thread has changed them. On the
/// viewer's thread.
class CodeObserver {
 public:
  virtual ~CodeObserver() = default;
  /// Anything may be called now: host registers that hold the guest's state are to be saved first.
  virtual void release_extended_state() {}
  virtual void code_written(GuestPhysical address, uint64_t length) = 0;
  /// Other bytes are shown there now than those that were translated: what is said of the address by now,
  /// such as GuestMemory::clear_code, is said of others.
  virtual void code_unmapped(GuestPhysical address, uint64_t length) { code_written(address, length); }
};

enum class RegionKind : uint8_t { kRam, kRom };

struct Region {
  GuestPhysical base;
  uint64_t length;  ///< bytes, a multiple of the page size
  uint8_t* host;    ///< where the monitor sees it
  RegionKind kind;
};

class GuestMemory {
 public:
  static constexpr unsigned kMostViewers = 64;

  enum class Backing : uint8_t {
    kPrivate,
    kShared,  ///< in a file without a name, which other processes can be given
  };
  /// `capacity` bounds the sum of all regions (bytes).
  static Result<std::unique_ptr<GuestMemory>> create(uint64_t capacity, Backing backing = Backing::kPrivate);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// From now on the host supplies what lies ahead of the guest's writes. For memory that nobody has touched
  /// and that stays where it is.
  void supply_ahead() { ahead_.emplace(bytes()); }

  /// Page-aligned; fails on overlap or when the capacity is used up.
  Result<> add_region(GuestPhysical base, uint64_t length, RegionKind kind);

  // Memory of devices that the guest sees where software has put it, such as a frame buffer in a BAR. It
  // counts toward the capacity, is no part of regions(), and is RAM to whoever finds it.
  static constexpr GuestPhysical kNowhere = ~GuestPhysical{0};  ///< the base of one that is not shown
  Result<const Region*> add_window(uint64_t length);
  /// Shows it at `base`, or moves it there. On a processor's thread. False, and it is shown nowhere, if
  /// other memory is in the way or windows are forbidden: accesses are MMIO then.
  bool show_window(const Region& window, GuestPhysical base);
  void hide_window(const Region& window);
  /// For an engine that has to see each access to a device.
  void forbid_windows() { windows_forbidden_ = true; }
  /// Called on the processor's thread when other memory is shown somewhere: host addresses have to be
  /// forgotten.
  void set_map_observer(std::function<void()> changed) { map_observer_ = std::move(changed); }
  /// For whoever has shown other memory somewhere (memory/remap.h), on the processor's thread.
  void map_changed() const {
    if (map_observer_) map_observer_();
  }

  [[nodiscard]] std::span<const Region> regions() const { return regions_; }
  /// All that is shown now, windows too, as one change left it. From any thread.
  [[nodiscard]] std::vector<Region> map() const;
  [[nodiscard]] uint64_t ram_bytes() const;
  /// All of it, shown or not, as one mapping has it: regions and windows in the order in which they were
  /// added.
  [[nodiscard]] std::span<uint8_t> bytes() const { return {ram_, used_}; }
  /// The file that begins with bytes(), if they are shared; otherwise -1.
  [[nodiscard]] int shared_file() const { return shared_.get(); }
  /// The region that holds `address`, or nullptr (MMIO or nothing). What it shows, and where, may change at
  /// any time: who wants the bytes asks `locate`.
  [[nodiscard]] const Region* find(GuestPhysical address) const;

  struct Place {
    uint8_t* host;
    uint64_t left;  ///< bytes from there to the end of the region
    RegionKind kind;
  };
  /// Where the byte at `address` is now. It stays mapped when the guest's map changes, so nothing but the
  /// guest's own memory is ever reached. Nothing: MMIO, or nobody.
  [[nodiscard]] std::optional<Place> locate(GuestPhysical address) const;
  /// Host address of [address, address + length) if it lies in one region, else nullptr.
  [[nodiscard]] uint8_t* host(GuestPhysical address, uint64_t length) const;

  /// [base, base + length) is to show other bytes than those at `host`: what was translated of them goes.
  /// Within change_map.
  void after_map_change(GuestPhysical base, const uint8_t* host, uint64_t length);
  /// Changes what a region shows (remap.h): `change` is called while nobody locates anything.
  template <typename Change>
  void change_map(const Change& change) {
    const std::lock_guard lock(map_mutex_);
    map_version_.fetch_add(1);  // odd: under way
    change();
    map_version_.fetch_add(1);
  }

  // Whole-range access for the machine's assembly, while no processor runs (devices: device::Dma): false, and
  // nothing done, if any byte of the range is not RAM (`write`) or not RAM or ROM (`read`). Observers are
  // told.
  [[nodiscard]] bool read(GuestPhysical address, void* to, uint64_t length) const;
  [[nodiscard]] bool write(GuestPhysical address, const void* from, uint64_t length);
  /// Like write, but ROM can be filled too.
  [[nodiscard]] bool load(GuestPhysical address, const void* from, uint64_t length);

  /// `observer` may be null: this viewer translates nothing.
  void set_code_observer(CodeObserver* observer, unsigned viewer = 0) {
    viewers_[viewer].observer = observer;
  }
  /// Whether any viewer has translations of the page.
  [[nodiscard]] bool page_has_code(GuestPhysical address) const;
  [[nodiscard]] bool has_code_of(GuestPhysical address, unsigned viewer) const;
  void mark_code(GuestPhysical address, unsigned viewer = 0);
  void clear_code(GuestPhysical address, unsigned viewer = 0);

  /// The viewer's virtual TLB is about to hold a writable entry for the page, or it is about to store there.
  /// False: it may hold none, for the page has translations.
  [[nodiscard]] bool enter_writer(GuestPhysical address, unsigned viewer);
  /// It holds none any more.
  void leave_writer(GuestPhysical address, unsigned viewer);
  /// A bit for each viewer that may hold one.
  [[nodiscard]] uint64_t writers(GuestPhysical address) const;

  // Which pages are written, for whoever copies memory while the machine runs.
  /// Begins, with no page marked, or ends. While all processors stand; when it begins, their virtual TLBs are
  /// to forget which pages may be written (mmu::Mmu::protect_all).
  void log_writes(bool on);
  /// An entry of a virtual TLB lets a page be written only once that page is marked, so entries for reading
  /// are not to allow more.
  [[nodiscard]] bool logs_writes() const { return logs_writes_.load(std::memory_order_relaxed); }
  /// Of bytes(). After the first log_writes(true).
  [[nodiscard]] DirtyPages& dirty_pages() { return *dirty_pages_; }

  // While pages come from elsewhere as they are touched (migration/page_fetcher.h).
  void set_arriving(bool arriving) { arriving_.store(arriving); }
  [[nodiscard]] bool arriving() const { return arriving_.load(std::memory_order_relaxed); }
  /// Returns when all of these are there. For system calls, which may not be able to wait for them.
  static void touch(std::span<const uint8_t> bytes);

  /// To be called on the viewer's thread before it changes bytes in [address, address + length); cheap for
  /// pages without code. Other viewers are told when this one settles, and it has to before it goes on.
  void before_write(GuestPhysical address, uint64_t length, unsigned viewer = 0);

  // Writes by other threads than a viewer's (DMA, other processors). An observer belongs to its viewer's
  // thread, so what became stale waits in a list until that thread comes for it.
  /// To be called after bytes changed and before the guest is told of it. From any thread.
  void after_foreign_write(GuestPhysical address, uint64_t length);
  /// On the viewer's thread: tells its observer of what waits, and others of what it wrote.
  void settle_foreign_writes(unsigned viewer = 0);
  /// `wake` makes the viewer's thread call settle_foreign_writes() before its next interrupt.
  void set_foreign_write_waker(std::function<void()> wake, unsigned viewer = 0) {
    viewers_[viewer].wake = std::move(wake);
  }

 private:
  GuestMemory() = default;
  Result<> share();
  struct Marks {
    std::atomic<uint64_t> code{0}, writers{0};
  };
  struct Stale {
    GuestPhysical address;
    uint64_t length;
    enum class What : uint8_t {
      kWritten,
      kOwnWrite,  ///< the viewer's: the others are yet to be told
      kUnmapped,
    } what = What::kWritten;
  };
  struct Viewer {
    CodeObserver* observer = nullptr;
    std::function<void()> wake;
    std::mutex mutex;          ///< of what follows
    std::vector<Stale> stale;  ///< within one page each
  };

  [[nodiscard]] Marks* marks(GuestPhysical address) const;
  void note_write(const Marks* page) {
    if (logs_writes()) dirty_pages_->mark(static_cast<uint64_t>(page - marks_));
  }
  [[nodiscard]] uint64_t marks_bytes() const { return (capacity_ >> x86::kPageShift) * sizeof(Marks); }
  void post(unsigned viewer, const Stale& stale);
  void tell_others(const Stale& stale, unsigned but);
  bool move_window(const Region& window, GuestPhysical base);
  [[nodiscard]] bool overlaps(GuestPhysical base, uint64_t length, const Region* but) const;

  uint8_t* mapping_ = nullptr;
  uint64_t mapped_ = 0;     ///< bytes
  uint8_t* ram_ = nullptr;  ///< the first huge page boundary in it
  uint64_t capacity_ = 0;
  uint64_t used_ = 0;
  FileDescriptor shared_;
  std::vector<Region> regions_;                   ///< sorted by base
  std::vector<std::unique_ptr<Region>> windows_;  ///< only their bases change while the machine runs
  bool windows_forbidden_ = false;
  mutable std::mutex map_mutex_;
  std::atomic<uint64_t> map_version_{0};
  std::function<void()> map_observer_;
  std::optional<PopulateAhead> ahead_;
  Marks* marks_ = nullptr;  ///< by page of the mapping; the host supplies those that are used
  std::array<Viewer, kMostViewers> viewers_;
  std::unique_ptr<DirtyPages> dirty_pages_;  ///< stays, once made: devices' threads may be about to mark
  std::atomic<bool> logs_writes_{false}, arriving_{false};
};

}  // namespace eidolon::memory
