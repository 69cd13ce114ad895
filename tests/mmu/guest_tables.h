// A small guest memory with page tables that a test writes entry by entry.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "memory/guest_memory.h"
#include "mmu/paging_controls.h"
#include "x86/paging.h"

namespace eidolon::mmu {

inline constexpr uint64_t kP = x86::kPtePresent, kW = x86::kPteWritable, kU = x86::kPteUser,
                          kA = x86::kPteAccessed, kD = x86::kPteDirty, kPs = x86::kPteLarge,
                          kG = x86::kPteGlobal, kXd = x86::kPteNoExecute;

class GuestTables : public ::testing::Test {
 protected:
  static constexpr uint64_t kRam = 4 << 20;
  static constexpr uint64_t kRomBase = 0x8000000;
  static constexpr uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x4000;
  static constexpr uint64_t kData = 0x10000;  ///< a page of RAM that nothing else uses
  static constexpr uint64_t kLinear = 0xffff812345678000;

  GuestTables() : memory_(std::move(memory::GuestMemory::create(kRam + 0x10000).value())) {
    EXPECT_TRUE(memory_->add_region(0, kRam, memory::RegionKind::kRam));
    EXPECT_TRUE(memory_->add_region(kRomBase, 0x10000, memory::RegionKind::kRom));
    long_mode();
  }

  void long_mode() {
    controls_ = {};
    controls_.cr0 = x86::kCr0Pe | x86::kCr0Pg | x86::kCr0Wp;
    controls_.cr4 = x86::kCr4Pae | x86::kCr4Pge;
    controls_.efer = x86::kEferLme | x86::kEferLma | x86::kEferNxe;
    controls_.cr3 = kPml4;
  }
  void pae_mode() {
    long_mode();
    controls_.efer = x86::kEferNxe;
  }
  void legacy_mode() {
    long_mode();
    controls_.efer = 0;
    controls_.cr4 = x86::kCr4Pse | x86::kCr4Pge;
  }

  template <typename Entry = uint64_t>
  void put(uint64_t table, uint64_t index, Entry entry) {
    ASSERT_TRUE(memory_->load(table + index * sizeof entry, &entry, sizeof entry));
  }
  template <typename Entry = uint64_t>
  Entry get(uint64_t table, uint64_t index) const {
    Entry entry = 0;
    EXPECT_TRUE(memory_->read(table + index * sizeof entry, &entry, sizeof entry));
    return entry;
  }
  static unsigned index_of(uint64_t linear, unsigned level) { return linear >> (12 + 9 * (level - 1)) & 511; }
  uint64_t pte(uint64_t linear = kLinear) const { return get(kPt, index_of(linear, 1)); }

  /// Maps one 4 KiB page of long mode; the upper levels allow everything.
  void map(uint64_t linear, uint64_t entry) {
    put(kPml4, index_of(linear, 4), kPdpt | kP | kW | kU);
    put(kPdpt, index_of(linear, 3), kPd | kP | kW | kU);
    put(kPd, index_of(linear, 2), kPt | kP | kW | kU);
    put(kPt, index_of(linear, 1), entry);
  }

  std::unique_ptr<memory::GuestMemory> memory_;
  PagingControls controls_;
};

}  // namespace eidolon::mmu
