// Guest memory whose bytes are those of a file of the host.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "memory/guest_memory.h"

namespace eidolon::memory {

enum class FileUse : uint8_t {
  kShared,    ///< what the guest writes goes to the file
  kReadOnly,  ///< ROM to the guest
};

/// A window (GuestMemory::add_window) that shows the first `length` bytes of `file`, which are there, at
/// `base`: whole pages. The descriptor may be closed afterwards. Before the machine runs. Whoever makes the
/// file shorter while the machine does ends it (lost_page.h).
[[nodiscard]] Result<> add_file_window(GuestMemory& memory, GuestPhysical base, uint64_t length, int file,
                                       FileUse use);

}  // namespace eidolon::memory
