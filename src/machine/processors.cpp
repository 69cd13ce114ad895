#include "machine/processors.h"

#include <fmt/format.h>
#include <pthread.h>

#include <fstream>

#include "base/try.h"
#include "engine/kvm/kernel_apics.h"
#include "engine/kvm/kernel_doorbells.h"
#include "engine/kvm/virtual_machine.h"

namespace eidolon::machine {

namespace {
/// How long the calling thread was ready but did not run: the second number of its schedstat (Linux,
/// Documentation/scheduler/sched-stats.rst). 0 where the kernel does not say.
uint64_t time_stolen() {
  std::ifstream file("/proc/thread-self/schedstat");
  uint64_t ran = 0, waited = 0;
  file >> ran >> waited;
  return waited;
}
}  // namespace

Processors::Processor::Processor(const Shared& shared, interrupt::LocalApic& apic, cpu::Peers& peers,
                                 unsigned number)
    : bus(shared.mmio, apic),
      cpu({.memory = shared.memory,
           .ports = shared.ports,
           .mmio = bus.bus(),
           .model = shared.model,
           .interrupts = &apic,
           .peers = &peers},
          number) {
  cpu.state.reset();
  if (number != 0) cpu.state.activity = cpu::Activity::kWaitForSipi;
  if (shared.kvm == nullptr) return;
  shared.kvm->add(cpu, apic.id());
  kvm = std::make_unique<paravirt::kvm::Kvm>(cpu, *shared.kvm, time_stolen);
  cpu.paravirt = kvm.get();
}

Processors::~Processors() {
  for (const auto& processor : processors_)
    shared_.memory.set_foreign_write_waker(nullptr, processor->cpu.index);
}

void Processors::add(interrupt::LocalApic& apic) {
  const auto number = static_cast<unsigned>(processors_.size());
  Processor& processor =
      *processors_.emplace_back(std::make_unique<Processor>(shared_, apic, peers_, number));
  cpu::Cpu& cpu = processor.cpu;
  peers_.add(cpu);
  apic.attach(cpu.events, {.hz = uint64_t{shared_.model.tsc_khz()} * 1000});
  shared_.memory.set_foreign_write_waker([&cpu] { cpu.events.raise(cpu::kEventForeignWrite); }, number);
}

Result<> Processors::make_engines(EngineKind kind, const MachineConfig& config) {
  EngineMaker maker(kind, config);
  std::vector<std::unique_ptr<engine::Engine>> engines;
  for (const auto& processor : processors_) engines.push_back(EIDOLON_TRY(maker.make(processor->cpu)));
  EIDOLON_TRY(check_breakpoints(*engines.front(), breakpoints_.addresses().size()));
  const auto kvm = maker.virtual_machine();
  if (kvm != nullptr && kvm->apics() != nullptr && !shared_.apics.lend(*kvm->apics()))
    return fail("KVM does not take the state of the local APICs; use --irqchip user");
  shared_.apics.take_back();  // that it does was to be known
  for (size_t number = 0; number < size(); ++number) processors_[number]->engine = std::move(engines[number]);
  kvm_machine_ = kvm;
  kvm_logs_writes_ = false;
  return {};
}

void Processors::lend() {
  if (kvm_machine_ == nullptr) return;
  shared_.give_doorbells(kvm_machine_->doorbells());
  if (kvm_machine_->apics() == nullptr) return;
  if (!shared_.apics.lend(*kvm_machine_->apics()))
    fmt::print(stderr, "KVM does not take the state of the local APICs any more: no interrupt arrives\n");
}

void Processors::take_back() {
  shared_.apics.take_back();
  shared_.give_doorbells(nullptr);
}

void Processors::log_writes(bool on) {
  if (kvm_machine_ != nullptr) kvm_logs_writes_ = kvm_machine_->log_dirty(on).has_value() && on;
}

/// Where KVM does not tell, all may have been written.
void Processors::collect_writes() {
  if (kvm_machine_ == nullptr) return;
  const std::span<uint8_t> bytes = shared_.memory.bytes();
  const auto mark = [&](const uint8_t* from, uint64_t length) {
    const auto first = static_cast<uint64_t>(from - bytes.data()) >> x86::kPageShift;
    for (uint64_t i = 0; i < length >> x86::kPageShift; ++i) shared_.memory.dirty_pages().mark(first + i);
  };
  const bool told = kvm_logs_writes_ && kvm_machine_->collect_dirty([&](const engine::kvm::DirtyRun& run) {
    mark(run.host, run.length);
  });
  if (!told) mark(bytes.data(), bytes.size());
}

void Processors::reset_apic(size_t number) {
  Processor& processor = *processors_[number];
  processor.cpu.turn.visit([&processor] { processor.bus.reset_apic(); });
}

void Processors::shut_off(size_t number) {
  cpu::EventFlags& events = processors_[number]->cpu.events;
  events.take(cpu::kEventSipi);  // one that came before is void
  events.raise(cpu::kEventInit);
}

std::string Processors::report() const {
  if (processors_.size() == 1) return processors_.front()->engine->report();
  std::string text;
  for (const auto& processor : processors_)
    text += fmt::format("processor {}:\n{}", processor->cpu.index, processor->engine->report());
  return text;
}

void Processors::run(Observer observer) {
  observer_ = std::move(observer);
  lend();
  for (const auto& processor : processors_) {
    if (processor->cpu.index == 0) continue;
    processor->thread = std::thread([this, &processor] {
      pthread_setname_np(pthread_self(), fmt::format("cpu{}", processor->cpu.index).c_str());
      run_one(*processor);
    });
  }
  run_one(*processors_.front());
  for (const auto& processor : processors_)
    if (processor->thread.joinable()) processor->thread.join();
  take_back();  // engines may go before devices do
}

void Processors::run_one(Processor& processor) {
  while (!finished()) {
    const engine::Stop stop = carry_out_order(processor);
    observer_.stopped(stop, processor.cpu.index);
    attend(processor);
  }
}

/// The first processor waits for the others and holds the meeting; the others wait for its end. Who finds
/// that the next one has been called meanwhile comes back to it, for all engines have been told to stop.
void Processors::attend(const Processor& processor) {
  std::unique_lock lock(mutex_);
  if (!meeting_called_ || finished_) return;
  ++attending_;
  changed_.notify_all();
  if (processor.cpu.index == 0) {
    changed_.wait(lock, [this] { return finished_ || attending_ == processors_.size(); });
    if (!finished_) {
      meeting_called_ = false;
      lock.unlock();
      take_back();
      observer_.meeting();
      lend();
      lock.lock();
    }
    attending_ = 0;
    ++meetings_;
    changed_.notify_all();
  } else {
    const uint64_t seen = meetings_;
    changed_.wait(lock, [this, seen] { return finished_ || meetings_ != seen; });
  }
}

bool Processors::finished() {
  std::lock_guard lock(mutex_);
  return finished_;
}

void Processors::call_meeting() {
  {
    std::lock_guard lock(mutex_);
    meeting_called_ = true;
  }
  changed_.notify_all();
  stop_engines();
}

void Processors::finish() {
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
  stop_engines();
}

void Processors::stop_engines() {
  for (const auto& processor : processors_) processor->cpu.events.raise(cpu::kEventStop);
}

}  // namespace eidolon::machine
