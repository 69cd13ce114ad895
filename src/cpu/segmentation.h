// Segmentation: logical to linear addresses with their checks, and loads of segment registers
// (SDM volume 3, chapters 3 and 5; volume 2, MOV and LLDT/LTR).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"
#include "cpu/linear.h"
#include "isa/instruction.h"

namespace eidolon::cpu {

/// Linear address of [offset, offset + size) in `segment`, after every check that the access makes there:
/// usable, type, limit (expand-down too), canonical form in 64-bit mode. #GP(0), or #SS(0) for SS. `offset`
/// has been truncated to the address size by the caller.
[[nodiscard]] Outcome<uint64_t> linear_address(const Cpu& cpu, x86::Segment segment, uint64_t offset,
                                               unsigned size, mmu::Access access);

/// The same for a segment that need not be loaded (the stack of another privilege level). `long_code`: 64-bit
/// mode, where base and limit of all but FS and GS count for nothing. A failed check raises
/// `vector`(`error`).
struct SegmentCheck {
  bool long_code = false;
  bool has_base = true;     ///< false in 64-bit mode, but for FS and GS
  bool check_type = true;   ///< false in real-address mode, where every segment can be read and written
  bool ends_at_4g = false;  ///< VendorRules::limit_ends_at_4g
  x86::Vector vector = x86::kGeneralProtection;
  uint32_t error = 0;
};
[[nodiscard]] Outcome<uint64_t> linear_address(const SegmentRegister& segment, uint64_t offset, unsigned size,
                                               mmu::Access access, const SegmentCheck& check);

/// What the processor itself reads and writes: descriptor tables and TSSs, on behalf of no privilege level
/// (SDM volume 3, 4.6.1). #PF, or #GP(0) if `linear` is not canonical.
template <typename T>
[[nodiscard]] Outcome<T> read_system(Cpu& cpu, uint64_t linear) {
  if (cpu.state.long_mode() && !(is_canonical(linear) && is_canonical(linear + sizeof(T) - 1)))
    return raise_gp();
  return read_linear<T>(cpu, linear, mmu::View::kSupervisor);
}
template <typename T>
[[nodiscard]] Outcome<> write_system(Cpu& cpu, uint64_t linear, T value) {
  if (cpu.state.long_mode() && !(is_canonical(linear) && is_canonical(linear + sizeof(T) - 1)))
    return raise_gp();
  return write_linear<T>(cpu, linear, value, mmu::View::kSupervisor);
}

/// update_linear of a byte of theirs.
[[nodiscard]] inline Outcome<uint8_t> update_system(Cpu& cpu, uint64_t linear, uint8_t set, uint8_t clear) {
  if (cpu.state.long_mode() && !is_canonical(linear)) return raise_gp();
  return update_linear(cpu, linear, set, clear, mmu::View::kSupervisor);
}

/// The two words of a descriptor in the GDT or LDT. #GP(selector) (or `vector` with it) beyond the limit.
[[nodiscard]] Outcome<x86::Descriptor> read_descriptor(Cpu& cpu, uint16_t selector,
                                                       x86::Vector vector = x86::kGeneralProtection);

/// The linear address of a descriptor, with the checks of read_descriptor for `size` bytes of it.
[[nodiscard]] Outcome<uint64_t> descriptor_address(const Cpu& cpu, uint16_t selector, unsigned size,
                                                   x86::Vector vector = x86::kGeneralProtection);
/// A system descriptor: in IA-32e mode it has 16 bytes, with bits 63:32 of the base (of the offset, for
/// gates) in the third word. #GP(selector) if the type field of the upper half is not zero.
struct SystemDescriptor {
  x86::Descriptor low;
  uint32_t upper = 0;
  [[nodiscard]] uint64_t base() const { return uint64_t{upper} << 32 | low.base(); }
  [[nodiscard]] uint64_t gate_offset() const { return uint64_t{upper} << 32 | low.gate_offset(); }
};
[[nodiscard]] Outcome<SystemDescriptor> read_system_descriptor(Cpu& cpu, uint16_t selector);

/// Sets the accessed bit of a code or data descriptor in memory, if it is clear.
[[nodiscard]] Outcome<> mark_accessed(Cpu& cpu, uint16_t selector, x86::Descriptor descriptor);
/// Sets or clears the busy bit of a TSS descriptor in memory: whether it was set.
[[nodiscard]] Outcome<bool> mark_busy(Cpu& cpu, uint16_t selector, bool busy);

/// The segment register that a code or data descriptor fills.
[[nodiscard]] SegmentRegister segment_from(uint16_t selector, x86::Descriptor descriptor);
/// A segment register with a null selector. `dpl` matters for SS alone: it is the CPL.
[[nodiscard]] SegmentRegister null_segment(uint16_t selector, unsigned dpl = 0);

/// MOV/POP to ES, SS, DS, FS, GS, LxS: in every mode. (CS is loaded by far transfers only.) Leaves the
/// interrupt shadow of SS to the caller.
[[nodiscard]] Outcome<> load_segment(Cpu& cpu, x86::Segment segment, uint16_t selector);
[[nodiscard]] Outcome<> load_ldtr(Cpu& cpu, uint16_t selector);
[[nodiscard]] Outcome<> load_tr(Cpu& cpu, uint16_t selector);

/// Real or virtual-8086 meaning of a selector: base = selector << 4; limit and attributes as the mode has
/// them.
void load_real_segment(State& state, x86::Segment segment, uint16_t selector);

/// Stack address size that `stack` would give as SS, as a mask for RSP.
[[nodiscard]] uint64_t stack_mask(const SegmentRegister& stack, bool long_code);
/// Stack address size of the current mode as a mask for RSP: 64, 32 or 16 bits.
[[nodiscard]] uint64_t stack_mask(const State& state);

/// The code size that the current CS gives.
[[nodiscard]] isa::CodeSize code_size(const State& state);

}  // namespace eidolon::cpu
