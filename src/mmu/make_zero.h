// Zero without touching: for objects of many MiB of which little is used.
#pragma once

#include <cstddef>

namespace eidolon::mmu {

/// The `size` bytes at `begin`, which lie in anonymous private memory as all objects do, become zero; whole
/// pages of them are given back to the host until they are needed.
void make_zero(std::byte* begin, size_t size);

}  // namespace eidolon::mmu
