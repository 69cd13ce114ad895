// The instruction catalogue: one row for every mnemonic that Zydis decodes, with its class and whether the
// processor itself guards it. It is Popek and Goldberg's theorem written down for x86: what is
// sensitive and not privileged is a virtualization hole, and virtualization_holes() names every one.
// Sources: SDM volumes 2 and 3 (chapter 2.8, 5.9), AMD APM volume 3; Robin and Irvine, "Analysis of the Intel
// Pentium's Ability to Support a Secure Virtual Machine Monitor" (2000), for the list of holes.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <span>

#include "isa/instruction.h"

namespace eidolon::isa {

/// How the processor guards an instruction. A user process of a host that leaves IOPL at 0 faults on kIopl
/// too. A hypercall faults there whatever the privilege level: kRing0.
enum class Privilege : uint8_t { kNone, kIopl, kRing0 };

/// The forms of a mnemonic that its row's class does not describe; classify() knows theirs.
enum class Variant : uint8_t {
  kNone,
  kMove,       ///< mov: segment registers behaviour-sensitive, control and debug registers control-sensitive
  kPushPop,    ///< push, pop: of segment registers behaviour-sensitive
  kFar,        ///< call, jmp, ret: far ones control-sensitive
  kBitString,  ///< bt, bts, btr, btc: memory with a register offset is kImplicitMemory
  kStringOrSse,  ///< movsd, cmpsd: string operation or SSE2
};

struct Row {
  ZydisMnemonic mnemonic;
  Class klass;
  Privilege privilege;
  Variant variant;
};

/// Every row, at the index of its mnemonic. Row 0 (ZYDIS_MNEMONIC_INVALID) is kUnsupported.
[[nodiscard]] std::span<const Row> catalogue();

/// The class of one decoded instruction: its row's, refined by its operands.
[[nodiscard]] Class classify(const ZydisDecodedInstruction& instruction);

/// How the processor guards one decoded instruction: its row's privilege, refined (mov to cr3 is privileged,
/// mov is not).
[[nodiscard]] Privilege privilege(const ZydisDecodedInstruction& instruction);

/// Sensitive in Popek and Goldberg's sense. State images are: they show code addresses, and XCR0 and CR4
/// shape them.
[[nodiscard]] constexpr bool is_sensitive(Class klass) {
  return klass == Class::kControlSensitive || klass == Class::kBehaviourSensitive || klass == Class::kState;
}

/// The mnemonics of which some form is sensitive and unprivileged, in ascending order.
[[nodiscard]] std::span<const ZydisMnemonic> virtualization_holes();

/// The processor state that must be enabled before an instruction may run, so that the monitor can raise the
/// guest's #NM or #UD (CR0.EM, TS; CR4.OSFXSR, OSXSAVE; XCR0), which the host processor will not.
enum class ExtendedState : uint8_t { kNone, kX87, kMmx, kSse, kAvx, kAvx512 };
[[nodiscard]] ExtendedState required_state(const ZydisDecodedInstruction& instruction);

}  // namespace eidolon::isa
