#include "engine/kvm/kvm_engine.h"

#include <fmt/format.h>

#include "base/try.h"
#include "cpu/event.h"
#include "engine/events.h"
#include "engine/kvm/cpuid_table.h"

namespace eidolon::engine {

using namespace kvm;

namespace {
constexpr uint32_t kInterrupts = cpu::kEventInterrupt | cpu::kEventNmi;

uint32_t apic_id(const cpu::Cpu& cpu) { return cpu.model.topology().apic_id(cpu.index); }
}  // namespace

Result<std::unique_ptr<KvmEngine>> KvmEngine::create(cpu::Cpu& cpu, std::shared_ptr<VirtualMachine> machine) {
  std::unique_ptr<Vcpu> vcpu = EIDOLON_TRY(Vcpu::create(*machine, apic_id(cpu)));
  EIDOLON_TRY(put_cpuid(*vcpu, cpu));
  const Registers registers = EIDOLON_TRY(Registers::create(*machine, *vcpu, cpu));
  return std::unique_ptr<KvmEngine>(new KvmEngine(cpu, std::move(machine), std::move(vcpu), registers));
}

KvmEngine::KvmEngine(cpu::Cpu& cpu, std::shared_ptr<VirtualMachine> machine, std::unique_ptr<Vcpu> vcpu,
                     const Registers& registers)
    : cpu_(cpu),
      machine_(std::move(machine)),
      apics_(machine_->apics()),
      vcpu_(std::move(vcpu)),
      run_(vcpu_->shared()),
      registers_(registers),
      step_(cpu) {
  cpu_.events.set_kick(vcpu_.get());
  if (apics_ != nullptr) apics_->add(apic_id(cpu_), *vcpu_, cpu_);
}

KvmEngine::~KvmEngine() {
  if (apics_ != nullptr) apics_->remove(apic_id(cpu_));
  cpu_.events.set_kick(nullptr);
}

Stop KvmEngine::run() {
  follow_breakpoints();
  for (;;) {
    vcpu_->listen();
    if (const auto stop = serve_events()) return *stop;
    if (!give()) {
      step_a_while();
      continue;
    }
    offer_nmi();
    if (apics_ == nullptr) {
      offer_interrupt();
    } else {
      offer_external();
    }
    enter();
  }
}

/// Nothing waits but what goes to KVM as it is. A processor that sleeps does so in KVM if its APIC is there.
bool KvmEngine::may_stay_in_guest() const {
  if (!given_ || (cpu_.events.pending() & ~kInterrupts) != 0) return false;
  if (apics_ != nullptr) return cpu_.state.activity != cpu::Activity::kShutdown;
  return cpu_.state.activity == cpu::Activity::kRunning;
}

std::optional<Stop> KvmEngine::serve_events() {
  if (may_stay_in_guest() || !needs_service(cpu_)) return std::nullopt;
  take_back();
  if ((cpu_.events.pending() & cpu::kEventMapChanged) != 0) (void)machine_->follow_memory();
  return service_events(cpu_, apics_ == nullptr ? Sleep::kHere : Sleep::kElsewhere);
}

void KvmEngine::take_back() {
  if (!given_) return;
  while (std::exchange(unfinished_, false))
    if (vcpu_->finish_instruction() == Vcpu::Exit::kGuest) (void)handle_exit();
  Undelivered undelivered;
  // Without its registers there is no going on; KVM tells them unless it is out of memory.
  if (!registers_.get(cpu_, undelivered)) cpu_.state.activity = cpu::Activity::kShutdown;
  // It is the one for the instruction that is to be stepped.
  if (std::exchange(emulation_failed_, false)) undelivered.exception.reset();
  given_ = false;
  if (std::exchange(waits_for_window_, false)) cpu_.events.raise(cpu::kEventInterrupt);
  ++counters_.taken_back;
  cpu_.mmu.invalidate_all();  // the guest has changed its tables since
  generation_ = cpu_.mmu.generation();
  // Not those that the processor has: KVM tells them from Linux 5.14 on, and loads them from memory as well.
  if (cpu_.state.control.pae_paging()) (void)mmu::load_pdptes(cpu_.memory, cpu_.state.control);
  deliver_rest(undelivered);
}

void KvmEngine::deliver_rest(const Undelivered& undelivered) {
  if (undelivered.exception) {
    (void)cpu::deliver_fault(cpu_, *undelivered.exception);
  } else if (undelivered.nmi) {
    (void)cpu::deliver_interrupt(cpu_, x86::kNmi);
  } else if (undelivered.interrupt) {
    (void)cpu::deliver_interrupt(cpu_, *undelivered.interrupt);
  }
}

bool KvmEngine::give() {
  if (given_) return true;
  const cpu::State& state = cpu_.state;
  if (state.pending_debug != 0 || breakpoints_need_steps() || !registers_.put(cpu_)) return false;
  if (cpu_.mmu.generation() != generation_ && !registers_.forget_translations()) return false;
  interruptible_ = (state.rflags & x86::kFlagIf) != 0 && state.interrupt_shadow != state.rip &&
                   state.activity != cpu::Activity::kWaitForSipi;
  given_ = true;
  return true;
}

void KvmEngine::step_a_while() {
  // In the kernel an interrupt may wait of which nobody here knows.
  const unsigned instructions = apics_ == nullptr ? 32 : 1;
  take_back();
  // At least one: an event may have to wait for it.
  for (unsigned i = 0; i < instructions && cpu_.state.activity == cpu::Activity::kRunning; ++i) {
    ++counters_.stepped;
    if (!step_.step() || cpu_.events.pending() != 0) return;
  }
}

/// KVM keeps it until the guest can take it.
void KvmEngine::offer_nmi() {
  if (cpu_.events.take(cpu::kEventNmi) != 0) (void)vcpu_->call<void>(KVM_NMI, nullptr);
}

/// An interrupt that the guest cannot take now has KVM come back when it can.
void KvmEngine::offer_interrupt() {
  // Before asking: who adds one later sets it again.
  const bool told = cpu_.events.take(cpu::kEventInterrupt) != 0;
  if (!told && !std::exchange(waits_for_window_, false)) return;
  run_.request_interrupt_window = 0;
  if (cpu_.interrupts == nullptr || !cpu_.interrupts->interrupt_pending()) return;
  if (interruptible_ && !unfinished_) {
    interruptible_ = false;
    if (const auto vector = cpu_.interrupts->acknowledge()) inject(*vector);
  }
  waits_for_window_ = cpu_.interrupts->interrupt_pending();
  run_.request_interrupt_window = waits_for_window_ ? 1 : 0;
}

/// The 8259 pair's, which the kernel's APIC lets by as its LINT0 says: that is in
/// ready_for_interrupt_injection.
void KvmEngine::offer_external() {
  cpu_.events.take(cpu::kEventInterrupt);
  cpu::ExternalInterrupts* external = apics_->external(apic_id(cpu_));
  run_.request_interrupt_window = 0;
  if (external == nullptr || !external->external_pending()) return;
  if (std::exchange(interruptible_, false) && !unfinished_ && run_.ready_for_interrupt_injection != 0)
    if (const auto vector = external->acknowledge_external()) inject_beside_apic(*vector);
  run_.request_interrupt_window = external->external_pending() ? 1 : 0;
}

/// As one that was under way: what KVM_INTERRUPT gives to a kernel with APICs cannot be had back.
void KvmEngine::inject_beside_apic(uint8_t vector) {
  ++counters_.interrupts;
  kvm_mp_state activity{};
  kvm_vcpu_events events{};
  const bool told =
      vcpu_->call(KVM_GET_MP_STATE, &activity) == 0 && vcpu_->call(KVM_GET_VCPU_EVENTS, &events) == 0;
  if (told && activity.mp_state != KVM_MP_STATE_RUNNABLE && activity.mp_state != KVM_MP_STATE_HALTED)
    return;  // INIT came meanwhile
  if (told && events.interrupt.injected == 0) {
    events.interrupt.injected = 1;
    events.interrupt.nr = vector;
    events.interrupt.soft = 0;
    events.flags = 0;
    activity.mp_state = KVM_MP_STATE_RUNNABLE;
    if (vcpu_->call(KVM_SET_VCPU_EVENTS, &events) == 0 && vcpu_->call(KVM_SET_MP_STATE, &activity) == 0)
      return;
  }
  take_back();
  (void)cpu::deliver_interrupt(cpu_, vector);
}

void KvmEngine::inject(uint8_t vector) {
  ++counters_.interrupts;
  kvm_interrupt interrupt{.irq = vector};
  if (vcpu_->call(KVM_INTERRUPT, &interrupt) == 0) return;
  take_back();
  (void)cpu::deliver_interrupt(cpu_, vector);
}

void KvmEngine::enter() {
  if (!given_) return;
  const bool has_priority = cpu_.interrupts != nullptr && apics_ == nullptr;
  if (has_priority) run_.cr8 = cpu_.interrupts->task_priority();
  ++counters_.entries;
  const Vcpu::Exit exit = vcpu_->run();
  unfinished_ = false;
  interruptible_ = run_.ready_for_interrupt_injection != 0;
  if (has_priority && run_.cr8 != cpu_.interrupts->task_priority())
    cpu_.interrupts->set_task_priority(static_cast<uint8_t>(run_.cr8));
  if (exit == Vcpu::Exit::kKicked) {
    ++counters_.kicks;
  } else if (exit == Vcpu::Exit::kFailed || !handle_exit()) {
    step_a_while();
  }
}

std::string KvmEngine::report() const {
  struct Named {
    uint32_t reason;
    const char* name;
  };
  constexpr Named kNamed[] = {{KVM_EXIT_IO, "ports"},
                              {KVM_EXIT_MMIO, "memory of devices"},
                              {KVM_EXIT_X86_RDMSR, "RDMSR"},
                              {KVM_EXIT_X86_WRMSR, "WRMSR"},
                              {KVM_EXIT_HLT, "HLT"},
                              {KVM_EXIT_IRQ_WINDOW_OPEN, "interrupt windows"},
                              {KVM_EXIT_SET_TPR, "CR8"},
                              {KVM_EXIT_IOAPIC_EOI, "EOI to the I/O APIC"},
                              {KVM_EXIT_INTERNAL_ERROR, "what KVM could not emulate"}};
  std::string text = fmt::format("local APIC             {}\n",
                                 apics_ == nullptr ? "the monitor's" : "the kernel's (--irqchip split)");
  text += fmt::format("doorbells              {}\n", machine_->doorbells() != nullptr
                                                         ? "the kernel's (ioeventfd)"
                                                         : "the monitor's (this KVM has no ioeventfd)");
  text += fmt::format("entries                {}\nkicks                  {}\ninterrupts             {}\n",
                      counters_.entries, counters_.kicks, counters_.interrupts);
  text += fmt::format("states taken back      {}\ninstructions stepped   {}\n", counters_.taken_back,
                      counters_.stepped);
  for (const Named& named : kNamed)
    text += fmt::format("exits for {:<27} {}\n", named.name, counters_.exits[named.reason]);
  return text;
}

}  // namespace eidolon::engine
