// A full memory barrier, also against the reordering of a store with a later load.
#pragma once

namespace eidolon {

/// std::atomic_thread_fence(std::memory_order_seq_cst), in a form that compiles under ThreadSanitizer (which
/// knows no fences: what it must not complain about has to be atomic by itself).
inline void full_fence() { asm volatile("mfence" : : : "memory"); }

}  // namespace eidolon
