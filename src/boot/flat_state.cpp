#include "boot/flat_state.h"

#include <vector>

#include "base/try.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"
#include "x86/control_registers.h"
#include "x86/descriptors.h"
#include "x86/paging.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kCode32 = 0x00cf9b000000ffff;
constexpr uint64_t kCode64 = 0x00af9b000000ffff;
constexpr uint64_t kData = 0x00cf93000000ffff;
constexpr uint64_t kTssDescriptor = 0x00008b0000000067;
constexpr uint16_t kTssSelector = 0x20;

cpu::SegmentRegister loaded(uint16_t selector, uint64_t descriptor) {
  const x86::Descriptor d{descriptor};
  return {.selector = selector, .attributes = d.attributes(), .limit = d.limit(), .base = d.base()};
}

Result<> enter(memory::GuestMemory& memory, cpu::State& state, uint64_t rip, uint64_t code) {
  const uint64_t gdt[] = {0, 0, code, kData, kTssDescriptor, 0};
  EIDOLON_TRY(
      place_table(memory, kGdt, {reinterpret_cast<const uint8_t*>(gdt), sizeof gdt}));  // SAFETY: bytes

  state.reset();
  state.gpr.fill(0);
  for (cpu::SegmentRegister& segment : state.segment) segment = loaded(kBootDs, kData);
  state.segment[x86::kCs] = loaded(kBootCs, code);
  state.tr = loaded(kTssSelector, kTssDescriptor);
  state.ldtr = {.selector = 0, .attributes = x86::kAttrUnusable, .limit = 0, .base = 0};
  state.gdtr = {.base = kGdt, .limit = sizeof gdt - 1};
  state.idtr = {.base = 0, .limit = 0};
  state.rip = rip;
  state.control.cr0 = x86::kCr0Pe | x86::kCr0Et;
  return {};
}

}  // namespace

Result<> enter_flat32(memory::GuestMemory& memory, cpu::State& state, uint64_t rip) {
  return enter(memory, state, rip, kCode32);
}

Result<> enter_flat64(memory::GuestMemory& memory, cpu::State& state, uint64_t rip) {
  using namespace x86;
  constexpr unsigned kEntries = 512;
  constexpr unsigned kDirectories = 4;
  constexpr uint64_t kTableFlags = kPtePresent | kPteWritable | kPteAccessed;

  std::vector<uint64_t> tables((2 + kDirectories) * kEntries);
  tables[0] = (kPageTables + kPageSize) | kTableFlags;
  for (uint64_t i = 0; i < kDirectories; ++i)
    tables[kEntries + i] = (kPageTables + (2 + i) * kPageSize) | kTableFlags;
  for (uint64_t i = 0; i < kDirectories * kEntries; ++i)
    tables[2 * kEntries + i] = i << 21 | kTableFlags | kPteDirty | kPteLarge;
  EIDOLON_TRY(place_table(memory, kPageTables,
                          {reinterpret_cast<const uint8_t*>(tables.data()),  // SAFETY: words as bytes
                           tables.size() * sizeof(uint64_t)}));

  EIDOLON_TRY(enter(memory, state, rip, kCode64));
  state.control.cr0 |= kCr0Pg;
  state.control.cr3 = kPageTables;
  state.control.cr4 = kCr4Pae;
  state.control.efer = kEferLme | kEferLma;
  return {};
}

}  // namespace eidolon::boot
