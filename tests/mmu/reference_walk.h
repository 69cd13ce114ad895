// A second page walk for the tests, written as the manual's figures and lists are: one row per kind of
// entry, no sharing between modes, no thought of speed.
#pragma once

#include <optional>

#include "mmu/walk.h"

namespace eidolon::mmu::reference {

struct Answer {
  uint32_t error = 0;  ///< valid if !mapped
  bool mapped = false;
  uint64_t physical = 0;
  uint64_t page_size = 0;
  bool global = false;
  bool dirty = false;
  bool readable = false, writable = false, executable = false;  ///< by the same view
};

Answer walk(memory::GuestMemory& memory, const PagingControls& controls, uint64_t linear, Access access,
            View view);

}  // namespace eidolon::mmu::reference
