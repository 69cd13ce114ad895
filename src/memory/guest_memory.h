// Guest-physical memory: RAM and ROM in one mapping of the monitor, in huge pages where the host has them;
// everything else is MMIO and belongs to an IoBus.
//
// Each page of RAM carries a flag byte. kHasCode says that some engine holds translations of the
// page's bytes: whoever writes such a page must tell the CodeObserver, so no virtual TLB may hold a
// writable entry for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "x86/paging.h"

namespace eidolon::memory {

using GuestPhysical = uint64_t;

/// Told before bytes of a page that has translations change.
class CodeObserver {
 public:
  virtual ~CodeObserver() = default;
  virtual void code_written(GuestPhysical address, uint64_t length) = 0;
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
  static constexpr uint8_t kHasCode = 1;

  /// `capacity` bounds the sum of all regions (bytes).
  static Result<std::unique_ptr<GuestMemory>> create(uint64_t capacity);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// Page-aligned; fails on overlap or when the capacity is used up.
  Result<> add_region(GuestPhysical base, uint64_t length, RegionKind kind);

  // Memory of devices that the guest sees where software has put it, such as a frame buffer in a BAR. It
  // counts toward the capacity, is no part of regions(), and is RAM to whoever finds it.
  static constexpr GuestPhysical kNowhere = ~GuestPhysical{0};  ///< the base of one that is not shown
  Result<const Region*> add_window(uint64_t length);
  /// Shows it at `base`, or moves it there. On the processor's thread. False, and it is shown nowhere, if
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
  [[nodiscard]] uint64_t ram_bytes() const;
  /// The region that holds `address`, or nullptr (MMIO or nothing).
  [[nodiscard]] const Region* find(GuestPhysical address) const;
  /// Host address of [address, address + length) if it lies in one region, else nullptr.
  [[nodiscard]] uint8_t* host(GuestPhysical address, uint64_t length) const;

  // Whole-range access for loaders and devices (DMA): false, and nothing done, if any byte of the
  // range is not RAM (`write`) or not RAM or ROM (`read`). `write` tells the observer.
  [[nodiscard]] bool read(GuestPhysical address, void* to, uint64_t length) const;
  [[nodiscard]] bool write(GuestPhysical address, const void* from, uint64_t length);
  /// Like write, but ROM can be filled too: for the machine's assembly, not for devices.
  [[nodiscard]] bool load(GuestPhysical address, const void* from, uint64_t length);

  void set_code_observer(CodeObserver* observer) { observer_ = observer; }
  [[nodiscard]] bool page_has_code(GuestPhysical address) const;
  void mark_code(GuestPhysical address);
  void clear_code(GuestPhysical address);
  /// To be called before bytes in [address, address + length) change; cheap for pages without code.
  void before_write(GuestPhysical address, uint64_t length);

  // Writes by other threads than the processor's (DMA). The observer belongs to the processor's thread, so
  // what became stale waits in a list until that thread comes for it.
  /// To be called after bytes changed and before the guest is told of it. From any thread.
  void after_foreign_write(GuestPhysical address, uint64_t length);
  /// On the processor's thread: tells the observer of what waits.
  void settle_foreign_writes();
  /// `wake` makes the processor's thread call settle_foreign_writes() before its next interrupt.
  void set_foreign_write_waker(std::function<void()> wake) { wake_ = std::move(wake); }

 private:
  GuestMemory() = default;
  [[nodiscard]] std::atomic<uint8_t>* flags(GuestPhysical address) const;
  void move_window(const Region& window, GuestPhysical base);
  [[nodiscard]] bool overlaps(GuestPhysical base, uint64_t length, const Region* but) const;

  uint8_t* mapping_ = nullptr;
  uint64_t mapped_ = 0;     ///< bytes
  uint8_t* ram_ = nullptr;  ///< the first huge page boundary in it
  uint64_t capacity_ = 0;
  uint64_t used_ = 0;
  std::vector<Region> regions_;                   ///< sorted by base
  std::vector<std::unique_ptr<Region>> windows_;  ///< only their bases change while the machine runs
  bool windows_forbidden_ = false;
  std::function<void()> map_observer_;
  std::unique_ptr<std::atomic<uint8_t>[]> page_flags_;  ///< by offset in the mapping
  CodeObserver* observer_ = nullptr;

  struct Stale {
    GuestPhysical address;
    uint64_t length;
  };
  std::function<void()> wake_;
  std::mutex stale_mutex_;
  std::vector<Stale> stale_;  ///< within one page each
};

}  // namespace eidolon::memory
