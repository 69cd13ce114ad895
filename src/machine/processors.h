// The virtual processors of a machine, each on a host thread of its own, and the meetings that have all of
// them stand between two instructions.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cpu/cpu.h"
#include "cpu/peers.h"
#include "engine/engine.h"
#include "engine/step/step_engine.h"
#include "machine/engine_choice.h"
#include "machine/processor_bus.h"
#include "memory/doorbells.h"
#include "paravirt/kvm/kvm.h"

namespace eidolon::machine {

class Processors {
 public:
  /// What all of them are wired to.
  struct Shared {
    memory::GuestMemory& memory;
    memory::IoBus& ports;
    const memory::IoBus& mmio;
    const cpu::CpuidModel& model;
    interrupt::ApicBus& apics;
    /// The devices' doorbells are somebody's, or (null) nobody's any more.
    std::function<void(memory::Doorbells*)> give_doorbells;
    /// Null: the guest is offered no paravirtual interface.
    paravirt::kvm::Host* kvm = nullptr;
  };
  /// Told on a processor's thread.
  struct Observer {
    /// The processor's engine has returned for this reason.
    std::function<void(engine::Stop, unsigned number)> stopped;
    std::function<void(unsigned number)> stepped;  ///< Order::kStep is carried out
    /// Each of call_meeting() is followed by one of these. All processors stand until it returns; on the
    /// thread of run().
    std::function<void()> meeting;
  };
  explicit Processors(const Shared& shared) : shared_(shared) {}
  ~Processors();
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;

  /// The next processor, at its reset state, with `apic` as its local APIC. While the
  /// machine is put together.
  void add(interrupt::LocalApic& apic);
  /// After the last add(), and while all stand: those of another kind. On failure they keep those that they
  /// have.
  Result<> make_engines(EngineKind kind, const MachineConfig& config);

  [[nodiscard]] size_t size() const { return processors_.size(); }
  /// From 0, the bootstrap processor.
  [[nodiscard]] cpu::Cpu& operator[](size_t number) { return processors_[number]->cpu; }
  /// Null: it is offered no paravirtual interface.
  [[nodiscard]] paravirt::kvm::Kvm* paravirt(size_t number) { return processors_[number]->kvm.get(); }
  /// Its local APIC is as at power-on when this returns. From any thread that has no processor's turn.
  void reset_apic(size_t number);
  /// It waits for a SIPI, soon, as if INIT had come. From any thread, while nothing reaches its APIC.
  void shut_off(size_t number);
  // Which pages are written (GuestMemory::log_writes), where an engine knows that by its own means. While all
  // stand.
  void log_writes(bool on);
  /// Marks those in GuestMemory::dirty_pages().
  void collect_writes();
  /// What the engines counted. While all stand.
  [[nodiscard]] std::string report() const;

  // For a debugger outside the guest, while all stand (processors_debugged.cpp).
  /// What a processor does when they go on.
  enum class Order : uint8_t {
    kRun,
    kStep,   ///< one instruction and no interrupt; one that sleeps wakes up first. Then it stands
    kStand,  ///< nothing, but it takes part in meetings
  };
  void order(size_t number, Order order);
  /// All processors stop there (engine::Stop::kBreakpoint). The error is one sentence.
  Result<> add_breakpoint(uint64_t linear);
  void remove_breakpoint(uint64_t linear);
  [[nodiscard]] const cpu::Breakpoints& breakpoints() const { return breakpoints_; }

  /// Runs all, the first on the calling thread, until finish(). Once.
  void run(Observer observer);
  /// Has all processors stand for Observer::meeting, soon. From any thread.
  void call_meeting();
  /// Makes run() return. From any thread, and from a meeting.
  void finish();
  /// Guest memory lies elsewhere. From any thread.
  void map_changed() const { peers_.map_changed(); }

 private:
  struct Processor {
    Processor(const Shared& shared, interrupt::LocalApic& apic, cpu::Peers& peers, unsigned number);
    ProcessorBus bus;
    cpu::Cpu cpu;
    std::unique_ptr<paravirt::kvm::Kvm> kvm;
    std::unique_ptr<engine::Engine> engine;
    Order order = Order::kRun;                     ///< changed while all stand, or by its own thread
    std::unique_ptr<engine::StepEngine> debugged;  ///< for Order::kStep; null: there was none yet
    std::thread thread;                            ///< none for the first
  };
  // Local APICs and doorbells go to who keeps them while the processors run, and come back. While all stand.
  void lend();
  void take_back();
  void run_one(Processor& processor);
  [[nodiscard]] engine::Stop carry_out_order(Processor& processor);
  [[nodiscard]] engine::Stop step_once(Processor& processor);
  void stand();
  void show_breakpoints();
  [[nodiscard]] Result<> check_breakpoints(const engine::Engine& engine, size_t count) const;
  void attend(const Processor& processor);
  [[nodiscard]] bool finished();
  void stop_engines();

  const Shared shared_;
  cpu::Peers peers_;
  std::vector<std::unique_ptr<Processor>> processors_;
  std::shared_ptr<engine::kvm::VirtualMachine> kvm_machine_;  ///< of the engines; null: they are not KVM's
  bool kvm_logs_writes_ = false;
  cpu::Breakpoints breakpoints_;  ///< what Cpu::breakpoints is, unless there are none
  Observer observer_;

  std::mutex mutex_;  ///< of what follows; device locks may be held
  std::condition_variable changed_;
  bool meeting_called_ = false;
  uint64_t meetings_ = 0;  ///< that are over
  size_t attending_ = 0;   ///< the next one
  bool finished_ = false;
};

}  // namespace eidolon::machine
