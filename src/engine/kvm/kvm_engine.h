// The kvm engine: the guest runs in the host processor's own guest mode, by way of /dev/kvm.
//
// KVM has the processor; whatever it cannot do alone comes to the monitor as an exit. Interrupt controllers
// are the monitor's, as under every engine, the local APIC among them unless it is lent to the kernel
// (kernel_apics.h), where a halted processor sleeps then, too; so are all MSRs but those of system calls and
// segment bases. What KVM's own emulator cannot do is done by `step`.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "engine/engine.h"
#include "engine/kvm/kernel_apics.h"
#include "engine/kvm/registers.h"
#include "engine/kvm/vcpu.h"
#include "engine/kvm/virtual_machine.h"
#include "engine/step/step_engine.h"

namespace eidolon::engine {

class KvmEngine final : public Engine {
 public:
  /// `machine` is that of all the guest's processors, and is about `cpu.memory`.
  static Result<std::unique_ptr<KvmEngine>> create(cpu::Cpu& cpu,
                                                   std::shared_ptr<kvm::VirtualMachine> machine);
  ~KvmEngine() override;

  [[nodiscard]] std::string_view name() const override { return "kvm"; }
  [[nodiscard]] Stop run() override;
  [[nodiscard]] size_t most_breakpoints() const override;
  [[nodiscard]] std::string report() const override;

 private:
  KvmEngine(cpu::Cpu& cpu, std::shared_ptr<kvm::VirtualMachine> machine, std::unique_ptr<kvm::Vcpu> vcpu,
            const kvm::Registers& registers);

  [[nodiscard]] std::optional<Stop> serve_events();
  [[nodiscard]] bool may_stay_in_guest() const;
  /// The processor's state comes to cpu::State, or goes to KVM; false: KVM does not take it.
  void take_back();
  bool give();
  void deliver_rest(const kvm::Undelivered& undelivered);
  void offer_nmi();
  void offer_interrupt();
  void offer_external();
  void inject(uint8_t vector);
  void inject_beside_apic(uint8_t vector);
  void enter();
  void step_a_while();

  // exits.cpp
  /// False: the state has to come back, for the instruction is to be stepped.
  [[nodiscard]] bool handle_exit();
  void access_ports();
  void access_memory();
  void read_msr();
  void write_msr();

  // breakpoints.cpp
  void follow_breakpoints();
  [[nodiscard]] bool breakpoints_need_steps() const;
  void take_debug_exception();

  cpu::Cpu& cpu_;
  const std::shared_ptr<kvm::VirtualMachine> machine_;
  kvm::KernelApics* const apics_;  ///< null: the local APIC is not in the kernel
  const std::unique_ptr<kvm::Vcpu> vcpu_;
  kvm_run& run_;
  kvm::Registers registers_;
  StepEngine step_;
  bool given_ = false;             ///< KVM has the state
  bool emulation_failed_ = false;  ///< KVM may have raised an exception for it
  bool unfinished_ = false;        ///< an instruction of the guest's waits for the answer to an exit
  bool interruptible_ = false;     ///< KVM takes an interrupt now
  bool waits_for_window_ = false;  ///< an interrupt is pending that the guest cannot take yet
  bool watches_ = false;           ///< KVM stops at all of Cpu::breakpoints
  uint64_t breakpoints_seen_ = 0;  ///< Breakpoints::changes
  uint64_t generation_ = 0;        ///< of the translations, when KVM last knew all
  struct Counters {
    uint64_t entries = 0, kicks = 0, interrupts = 0, stepped = 0, taken_back = 0;
    std::array<uint64_t, 64> exits{};
  } counters_;
};

}  // namespace eidolon::engine
