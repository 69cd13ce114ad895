// What the translator counts, and the report of it.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstdint>
#include <string>

#include "engine/translate/time_parts.h"
#include "mmu/mmu.h"

namespace eidolon::engine::translate {

struct Statistics {
  uint64_t blocks = 0;                ///< translated
  uint64_t copied = 0;                ///< blocks that are there at another address
  uint64_t instructions = 0;          ///< translated
  uint64_t guest_bytes = 0;           ///< translated
  uint64_t host_bytes = 0;            ///< of the code made of them
  uint64_t cold_host_bytes = 0;       ///< of the ways to the monitor, kept elsewhere
  uint64_t invalidated = 0;           ///< blocks dropped because their bytes changed
  uint64_t flushes = 0;               ///< of the whole cache
  uint64_t links = 0;                 ///< direct jumps linked
  uint64_t sensitive = 0;             ///< sensitive instructions executed by a light exit
  uint64_t page_faults = 0;           ///< raised by a light exit
  uint64_t divide_errors = 0;         ///< raised by a light exit
  uint64_t extended_loads = 0;        ///< exits that put x87 and vector state back into registers
  uint64_t steps = 0;                 ///< instructions stepped, from translated code
  uint64_t gave_way = 0;  ///< the guest was spinning (Frame::kPauses), and others on the host went first
  uint64_t steps_untranslatable = 0;  ///< instructions stepped because the mode is not translated
  uint64_t jump_exits = 0;            ///< direct jumps that were not linked
  uint64_t indirect_misses = 0;
  uint64_t tlb_fills = 0;      ///< misses that a page walk answered
  uint64_t slow_accesses = 0;  ///< accesses that had to be stepped: MMIO, page crossing, faults, code pages
  uint64_t crossing_accesses = 0;   ///< of slow_accesses: those that cross a page
  uint64_t faulting_accesses = 0;   ///< of slow_accesses: those that the page tables do not allow
  uint64_t code_page_accesses = 0;  ///< of slow_accesses: stores to pages that have translations
  uint64_t page_checks = 0;
  uint64_t string_exits = 0;  ///< string instructions that the monitor went on with
  uint64_t events = 0;
  uint64_t host_faults = 0;
  uint64_t dispatches = 0;                                       ///< block look-ups by the monitor
  std::array<uint64_t, ZYDIS_MNEMONIC_MAX_VALUE + 1> stepped{};  ///< steps of sites, by mnemonic
};

/// What the report says besides the counters.
struct Surroundings {
  uint64_t cache_used = 0, cache_size = 0;  ///< bytes
  mmu::Mmu::Counters mmu{};
  TimesByPart times;  ///< no samples: nobody sampled
};

/// Lines for a person: what was translated, exits by cause, what was stepped, time by part.
[[nodiscard]] std::string report(const Statistics& statistics, const Surroundings& surroundings);

}  // namespace eidolon::engine::translate
