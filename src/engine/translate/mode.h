// The part of the processor's state that translations depend on, in 16 bits: blocks made in one mode run only
// in that mode.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "cpu/cpu.h"
#include "isa/catalogue.h"

namespace eidolon::engine::translate {

class Mode {
 public:
  constexpr explicit Mode(uint16_t value = 0) : value_(value) {}
  /// The current mode, or nullopt if it has to be stepped: 16-bit code, segments that are not flat, TF,
  /// breakpoints.
  [[nodiscard]] static std::optional<Mode> of(const cpu::Cpu& cpu);

  [[nodiscard]] constexpr uint16_t value() const { return value_; }
  [[nodiscard]] constexpr bool long_code() const { return value_ & kLong; }
  [[nodiscard]] constexpr bool user() const { return value_ & kUser; }
  /// Names the table of the virtual TLB.
  [[nodiscard]] mmu::View view() const;
  /// CR4.SMAP; and AC suspends it now (supervisor only).
  [[nodiscard]] constexpr bool smap() const { return value_ & kSmap; }
  [[nodiscard]] constexpr bool smap_suspended() const { return value_ & kAc; }
  /// CR4.FSGSBASE and EFER.SCE.
  [[nodiscard]] constexpr bool fsgsbase() const { return value_ & kFsGsBase; }
  [[nodiscard]] constexpr bool syscall_enabled() const { return value_ & kSyscall; }
  /// The same mode in 64-bit code of the other kind, user for supervisor and the reverse, with AC clear.
  [[nodiscard]] constexpr Mode other_privilege() const {
    return Mode(static_cast<uint16_t>((value_ & ~kAc) ^ kUser));
  }
  /// The guest's TSC is the host's plus an offset, for generated code to read.
  [[nodiscard]] constexpr bool inline_tsc() const { return value_ & kInlineTsc; }
  [[nodiscard]] constexpr bool inline_rdtscp() const { return inline_tsc() && (value_ & kRdtscp); }
  [[nodiscard]] constexpr bool tsc_disabled() const { return user() && (value_ & kTscDisabled) != 0; }
  /// 32-bit code: FS or GS spans the whole address space above its base (always true in 64-bit code).
  [[nodiscard]] constexpr bool fs_unlimited() const { return value_ & (kLong | kFsUnlimited); }
  [[nodiscard]] constexpr bool gs_unlimited() const { return value_ & (kLong | kGsUnlimited); }
  /// CR8 is in EventFlags::priority, for generated code to move.
  [[nodiscard]] constexpr bool inline_priority() const { return value_ & kInlinePriority; }
  /// Whether an instruction that needs `state` may run without a fault.
  [[nodiscard]] bool allows(isa::ExtendedState state) const;

  constexpr bool operator==(const Mode&) const = default;

 private:
  enum : uint16_t {
    kLong = 1 << 0,
    kUser = 1 << 1,
    kX87 = 1 << 2,
    kSse = 1 << 3,
    kAvx = 1 << 4,
    kAvx512 = 1 << 5,
    kFsUnlimited = 1 << 6,
    kGsUnlimited = 1 << 7,
    kTscDisabled = 1 << 8,  ///< to user code; known in supervisor code too
    kInlineTsc = 1 << 9,
    kRdtscp = 1 << 10,
    kFsGsBase = 1 << 11,
    kSyscall = 1 << 12,
    kSmap = 1 << 13,
    kAc = 1 << 14,
    kInlinePriority = 1 << 15,
  };
  uint16_t value_;
};

/// Mode::of, which is asked after every exit and mostly has the answer that it had for this privilege level
/// before.
class ModeFinder {
 public:
  [[nodiscard]] std::optional<Mode> of(const cpu::Cpu& cpu);

 private:
  /// Everything that the mode of 64-bit code depends on, and that it is 64-bit code.
  struct Inputs {
    uint64_t cr0, cr4 = 0, efer = 0, xcr0 = 0, dr7 = 0, rflags = 0;
    uint32_t cs = 0, ss = 0;
    const void* tsc_source = nullptr;
    const void* interrupts = nullptr;
    bool operator==(const Inputs&) const = default;
  };
  struct Known {
    Inputs inputs{.cr0 = ~uint64_t{0}};  ///< at first what cannot be
    std::optional<Mode> mode;  ///< as it is returned: put together anew it would stall the load of the whole
  };
  [[nodiscard]] static Inputs inputs_of(const cpu::Cpu& cpu);
  std::array<Known, 2> known_;
};

}  // namespace eidolon::engine::translate
