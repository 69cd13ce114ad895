// The page walk of somebody who looks at the guest from outside: it leaves no trace, asks for no rights and
// remembers nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "memory/guest_memory.h"
#include "mmu/paging_controls.h"

namespace eidolon::mmu {

/// The guest-physical address of the byte at `linear`; nothing: there is none. From any thread, while the
/// processor of `controls` stands.
[[nodiscard]] std::optional<memory::GuestPhysical> look(const memory::GuestMemory& memory,
                                                        const PagingControls& controls, uint64_t linear);

}  // namespace eidolon::mmu
