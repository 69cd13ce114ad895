// Data access by linear address: translation, page crossing, MMIO, and writes to pages with translations.
// An access that crosses a page translates both pages before it touches either.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// Whether `linear` is canonical in the current mode (always, outside long mode).
[[nodiscard]] inline bool is_canonical(uint64_t linear) {
  return static_cast<uint64_t>(static_cast<int64_t>(linear << 16) >> 16) == linear;
}

// `size` is 1 to 4096 bytes. Faults: #PF only; the caller has checked segment limits and canonical form.
// Outside long mode addresses wrap at 4 GiB.
[[nodiscard]] Outcome<> read_linear(Cpu& cpu, uint64_t linear, void* to, unsigned size, mmu::View view);
[[nodiscard]] Outcome<> write_linear(Cpu& cpu, uint64_t linear, const void* from, unsigned size,
                                     mmu::View view);
/// Raises what a write would raise (and sets A and D), and writes nothing.
[[nodiscard]] Outcome<> probe_write_linear(Cpu& cpu, uint64_t linear, unsigned size, mmu::View view);
/// Sets the bits of `set` and clears those of `clear` in one byte, atomically against other processors where
/// it is RAM: the byte as it was.
[[nodiscard]] Outcome<uint8_t> update_linear(Cpu& cpu, uint64_t linear, uint8_t set, uint8_t clear,
                                             mmu::View view);
/// Up to `size` instruction bytes from `linear`; how many could be fetched before a fault, or the fault if
/// none could.
[[nodiscard]] Outcome<unsigned> fetch_linear(Cpu& cpu, uint64_t linear, uint8_t* to, unsigned size);

template <typename T>
[[nodiscard]] Outcome<T> read_linear(Cpu& cpu, uint64_t linear, mmu::View view) {
  T value;
  if (const uint8_t* host = cpu.mmu.tlb().lookup(linear, sizeof(T), false, view)) [[likely]] {
    std::memcpy(&value, host, sizeof value);
    return value;
  }
  if (auto done = read_linear(cpu, linear, &value, sizeof value, view); !done)
    return std::unexpected(done.error());
  return value;
}
template <typename T>
[[nodiscard]] Outcome<> write_linear(Cpu& cpu, uint64_t linear, T value, mmu::View view) {
  if (uint8_t* host = cpu.mmu.tlb().lookup(linear, sizeof(T), true, view)) [[likely]] {
    std::memcpy(host, &value, sizeof value);
    return {};
  }
  return write_linear(cpu, linear, &value, sizeof value, view);
}

}  // namespace eidolon::cpu
