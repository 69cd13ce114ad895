// Giving pages of guest memory back to the host, which supplies fresh ones when somebody touches them again.
#pragma once

#include <cstdint>
#include <span>

namespace eidolon::memory {

/// The whole pages within `bytes`, which are guest memory, take no room on the host any more. They read as
/// zeros, or, where memory is mapped from a snapshot's file, as they did when it was taken. As after any
/// other change from outside, GuestMemory::after_foreign_write() is still to be called.
void discard(std::span<uint8_t> bytes);

}  // namespace eidolon::memory
