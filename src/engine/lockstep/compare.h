// Two processors' states and memories side by side: the first difference, in words.
#pragma once

#include <optional>
#include <string>

#include "cpu/state.h"
#include "memory/guest_memory.h"

namespace eidolon::engine::lockstep {

/// `flags_exact`: the arithmetic flags that have to agree. Everything but the x87 and vector state.
[[nodiscard]] std::optional<std::string> compare_states(const cpu::State& translate, const cpu::State& step,
                                                        uint64_t flags_exact);
/// The x87 and vector state as the guest could see it: components not in use are in their initial state, and
/// the x87 pointers do not count.
[[nodiscard]] std::optional<std::string> compare_extended(const cpu::XsaveImage& translate,
                                                          const cpu::XsaveImage& step, uint64_t components);
/// All of RAM and ROM, but for pages that neither has touched. Both have the same regions.
[[nodiscard]] std::optional<std::string> compare_memories(const memory::GuestMemory& translate,
                                                          const memory::GuestMemory& step);

/// A memory with the same regions and contents.
[[nodiscard]] Result<std::unique_ptr<memory::GuestMemory>> clone(const memory::GuestMemory& memory);

}  // namespace eidolon::engine::lockstep
