// One virtual processor: its state, and what surrounds it. Engines run it; the routines of this folder
// are the single meaning of every sensitive instruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "cpu/breakpoints.h"
#include "cpu/cpuid_model.h"
#include "cpu/event_flags.h"
#include "cpu/fault.h"
#include "cpu/interrupt_source.h"
#include "cpu/paravirt.h"
#include "cpu/peers.h"
#include "cpu/state.h"
#include "cpu/turn.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"
#include "mmu/mmu.h"

namespace eidolon::cpu {

/// What a processor is wired to. All outlive it.
struct Surroundings {
  memory::GuestMemory& memory;
  memory::IoBus& ports;
  memory::IoBus& mmio;
  const CpuidModel& model;
  InterruptSource* interrupts = nullptr;  ///< null only in tests: no interrupt, no APIC
  Peers* peers = nullptr;                 ///< null: the only processor
};

class TscSource;

/// Who has the guest's x87 and vector state in the host's registers.
class ExtendedStateHolder {
 public:
  virtual ~ExtendedStateHolder() = default;
  /// Puts it into State::fpu, and makes the host's registers fit for C++.
  virtual void release_extended_state() = 0;
};

class Cpu {
 public:
  explicit Cpu(const Surroundings& around, unsigned number = 0)
      : memory(around.memory),
        ports(around.ports),
        mmio(around.mmio),
        model(around.model),
        interrupts(around.interrupts),
        peers(around.peers),
        index(number),
        mmu(around.memory, number) {}
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  State state;
  EventFlags events;
  Turn turn{events};
  memory::GuestMemory& memory;
  memory::IoBus& ports;
  memory::IoBus& mmio;
  const CpuidModel& model;
  InterruptSource* interrupts;
  Peers* const peers;
  Paravirt* paravirt = nullptr;     ///< null: the guest is offered none
  bool kicked = false;              ///< kEventKick came: the next halt is over at once
  TscSource* tsc_source = nullptr;  ///< null: the host's counter
  /// Of a debugger outside the guest; null: there are none. Changes while the processor stands.
  const Breakpoints* breakpoints = nullptr;
  bool at_breakpoint = false;  ///< the engine is about to return with Stop::kBreakpoint
  /// Not null: the guest's x87 and vector state may be in the host's registers. The routines of this folder,
  /// the page walk and guest memory are compiled not to touch these; before anything else is called (devices,
  /// interrupt controllers), release_extended_state() is.
  ExtendedStateHolder* extended_holder = nullptr;
  const unsigned index;  ///< number of the processor, from 0
  mmu::Mmu mmu;

  /// Room for what an engine's generated code keeps per processor. It lies here so that state, virtual TLB
  /// and this are all within reach of one segment base. The engine that runs the processor owns its meaning.
  static constexpr size_t kEngineAreaSize = 384 << 10;
  alignas(64) std::array<std::byte, kEngineAreaSize> engine_area{};

  void release_extended_state() const {
    if (extended_holder != nullptr) extended_holder->release_extended_state();
  }

  /// The view of an explicit data access in the current mode.
  [[nodiscard]] mmu::View data_view() const {
    if (state.cpl() == 3) return mmu::View::kUser;
    const bool smap = (state.control.cr4 & x86::kCr4Smap) != 0;
    return smap && (state.rflags & x86::kFlagAc) != 0 ? mmu::View::kSupervisorAc : mmu::View::kSupervisor;
  }
};

}  // namespace eidolon::cpu
