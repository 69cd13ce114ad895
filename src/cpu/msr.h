// Model-specific registers: what RDMSR and WRMSR see (SDM volume 4; AMD APM volume 2, appendix A).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

// #GP(0) for what does not exist, cannot be written, or has a reserved bit set. Privilege is the caller's to
// check.
[[nodiscard]] Outcome<uint64_t> read_msr(Cpu& cpu, uint32_t msr);
[[nodiscard]] Outcome<> write_msr(Cpu& cpu, uint32_t msr, uint64_t value);

// Memory types (msr_memory_types.cpp): MTRRs and PAT are kept and checked. All guest memory is write-back, so
// they have no other effect.
[[nodiscard]] bool is_memory_type_msr(uint32_t msr);
[[nodiscard]] Outcome<uint64_t> read_memory_type_msr(const State& state, uint32_t msr);
[[nodiscard]] Outcome<> write_memory_type_msr(State& state, uint32_t msr, uint64_t value);

}  // namespace eidolon::cpu
