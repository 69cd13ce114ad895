// Changing what a region shows while the machine runs: a chipset puts RAM over ROM, and closes the A20 gate.
//
// Regions keep their places, so that look-ups by devices' threads need no lock: what they find is the old or
// the new memory, and both are the guest's.
#pragma once

#include "memory/guest_memory.h"

namespace eidolon::memory {

/// The region that begins at `base` shows other memory of the guest's, as large as it, from now on. On a
/// processor's thread. Translations of what was there are dropped; the caller says so with
/// GuestMemory::map_changed() when it has shown all it wants to.
void remap(GuestMemory& memory, GuestPhysical base, uint8_t* host, RegionKind kind);

}  // namespace eidolon::memory
