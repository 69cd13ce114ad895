#include "machine/machine.h"

#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <utility>

#include "base/try.h"
#include "boot/acpi.h"
#include "boot/loader.h"
#include "boot/memory_layout.h"
#include "engine/kvm/system.h"
#include "machine/migration.h"
#include "machine/pmem_files.h"
#include "machine/saved_machine.h"
#include "snapshot/memory_checker.h"
#include "x86/cpuid.h"

namespace eidolon::machine {

namespace {

/// Besides RAM, for ROMs and for what is shown in RAM's place.
constexpr uint64_t kExtraMemory = uint64_t{64} << 20;

Result<std::unique_ptr<memory::GuestMemory>> make_memory(const MachineConfig& config) {
  const uint64_t bytes = config.memory_bytes;
  // Memory is taken from the host only as the guest touches it, but a guest that believes in more than there
  // is will touch it.
  const uint64_t host =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (bytes > host)
    return fail("this host has only {} MiB of memory; give the guest less with --memory", host >> 20);
  using Backing = memory::GuestMemory::Backing;
  const Backing backing = config.has_served() ? Backing::kShared : Backing::kPrivate;
  std::unique_ptr<memory::GuestMemory> memory =
      EIDOLON_TRY(memory::GuestMemory::create(bytes + kExtraMemory + pmem_bytes(config), backing));
  if (config.kernel_path.empty()) {
    EIDOLON_TRY(boot::add_ram_for_firmware(*memory, bytes));
  } else {
    EIDOLON_TRY(boot::add_ram(*memory, bytes));
  }
  return memory;
}

/// That this process may use.
unsigned host_processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

/// What is about translated code needs it.
Result<EngineDecision> decide(const MachineConfig& config) {
  const bool translated = config.block_observer != nullptr && config.engine == EngineChoice::kAuto;
  return decide_engine(translated ? EngineChoice::kTranslate : config.engine, probe_kvm);
}

/// `kvm`: of what the host's KVM runs.
Result<cpu::CpuidModel> make_model(const std::string& name, bool kvm) {
  if (!kvm) return cpu::CpuidModel::create(name);
  const cpu::FeatureWords features = EIDOLON_TRY(engine::kvm::supported_features());
  return cpu::CpuidModel::create(name, features);
}

/// Whether the host's KVM runs what the guest knows as its processor.
Result<> fits_kvm(const cpu::CpuidModel& model) {
  cpu::FeatureWords shown = cpu::features_of(model);
  // How processors belong together is ours to say, and any KVM runs what is told of it.
  shown.leaf1_edx &= ~x86::cpuid::kHtt;
  shown.extended1_ecx &= ~x86::cpuid::kCmpLegacy;
  const cpu::FeatureWords kvm = EIDOLON_TRY(engine::kvm::supported_features());
  if ((shown & kvm) == shown && !paravirt::kvm::shows_calls(model)) return {};
  return fail(
      "this guest knows a processor that the host's KVM does not run; start machines that are to move to it "
      "with --cpu kvm");
}

/// Lockstep's second processor would ask twice for what changes by being asked.
bool offers_kvm(const MachineConfig& config, const EngineDecision& decision) {
  return config.paravirt && decision.kind != EngineKind::kLockstep;
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, SerialSink serial) {
  std::unique_ptr<Machine> machine = EIDOLON_TRY(make(config, std::move(serial)));
  if (!config.kernel_path.empty()) EIDOLON_TRY(machine->load_kernel(config));
  // Where the processors leave the host nothing to do it with, they would only wait for the thread instead.
  if (host_processors() > config.topology.processors()) machine->memory_->supply_ahead();
  EIDOLON_TRY(machine->devices_.show_pmem());
  EIDOLON_TRY(machine->processors_.make_engines(machine->decision_.kind, config));
  return machine;
}

Result<std::unique_ptr<Machine>> Machine::make(const MachineConfig& config, SerialSink serial) {
  EngineDecision decision = EIDOLON_TRY(decide(config));
  const bool kvm = decision.kind == EngineKind::kKvm || config.cpu_model == "kvm";
  cpu::CpuidModel model = EIDOLON_TRY(make_model(config.cpu_model, kvm));
  // Two processors would draw different random numbers.
  if (decision.kind == EngineKind::kLockstep) model.hide_random_numbers();
  if (decision.kind == EngineKind::kLockstep && config.topology.processors() != 1)
    return fail("--engine lockstep can follow one processor only; leave out --cpus");
  model.set_topology(config.topology);
  if (offers_kvm(config, decision))
    paravirt::kvm::show(model, kvm ? paravirt::kvm::Calls::kNone : paravirt::kvm::Calls::kOffered);
  std::unique_ptr<memory::GuestMemory> memory = EIDOLON_TRY(make_memory(config));
  MachineConfig own = config;
  if (kvm && own.cpu_model == "host")
    own.cpu_model = "kvm";  // for snapshots, which other engines may go on with
  std::unique_ptr<Machine> machine(
      new Machine(std::move(model), std::move(decision), std::move(memory), std::move(serial), own));
  EIDOLON_TRY(machine->assemble(config));
  return machine;
}

Machine::Machine(cpu::CpuidModel model, EngineDecision decision, std::unique_ptr<memory::GuestMemory> memory,
                 SerialSink serial, const MachineConfig& config)
    : config_(config),
      model_(std::move(model)),
      decision_(std::move(decision)),
      memory_(std::move(memory)),
      devices_(timers_, *this, *memory_, std::move(serial), config.topology),
      kvm_(offers_kvm(config, decision_) ? std::optional<paravirt::kvm::Host>(
                                               std::in_place, clock_, devices_.apic_bus(), model_.tsc_khz())
                                         : std::nullopt),
      processors_({.memory = *memory_,
                   .ports = ports_,
                   .mmio = mmio_,
                   .model = model_,
                   .apics = devices_.apic_bus(),
                   .give_doorbells = [this](memory::Doorbells* taker) { devices_.give_doorbells(taker); },
                   .kvm = kvm_ ? &*kvm_ : nullptr}) {}

// No timer may run into a device that is being destroyed, and no device's thread into the processor.
Machine::~Machine() {
  leaps_ = {};
  migration_.reset();
  memory_checker_.reset();
  devices_.stop_waiting();
  devices_.stop();
  timers_.stop();
  if (fetcher_ != nullptr) fetcher_->stop();
}

Result<> Machine::assemble(const MachineConfig& config) {
  if (decision_.kind == EngineKind::kLockstep) memory_->forbid_windows();  // its recording is of MMIO
  EIDOLON_TRY(devices_.attach(ports_, mmio_));
  if (config.vga) EIDOLON_TRY(devices_.add_vga(config, ports_, mmio_, clock_));
  EIDOLON_TRY(devices_.add(config, ports_, mmio_, clock_));
  for (const auto& apic : devices_.local_apics()) processors_.add(*apic);
  if (config.present != 0 && config.present < config.topology.processors()) {
    slots_.emplace(config.topology, config.present, devices_, processors_);
    EIDOLON_TRY(slots_->attach(ports_));
  }
  memory_->set_map_observer([this] { processors_.map_changed(); });
  if (config.kernel_path.empty()) EIDOLON_TRY(devices_.load_firmware(config, ports_, mmio_));
  return {};
}

/// What firmware and a boot loader would do.
Result<> Machine::load_kernel(const MachineConfig& config) {
  EIDOLON_TRY(devices_.configure_pci(ports_));
  const uint64_t rsdp = EIDOLON_TRY(
      boot::write_acpi(*memory_, acpi_config(*memory_, devices_.pci(), config.topology, config.present)));
  EIDOLON_TRY(boot::write_smbios(*memory_, smbios_config(*memory_, config.firmware, config.topology)));
  const boot::BootRequest request = {.kernel_path = config.kernel_path,
                                     .initrd_path = config.initrd_path,
                                     .command_line = config.command_line,
                                     .rsdp = rsdp,
                                     .unpack = config.kernel_unpack,
                                     .text_screen = config.vga};
  return boot::load_kernel(request, *memory_, processors_[0].state);
}

Ending Machine::run() {
  if (stopped_tsc_) {
    start_time();
  } else {
    timers_.start();
  }
  using Why = DebugStop::Why;
  processors_.run({.stopped = [this](engine::Stop stop, unsigned number) { engine_stopped(stop, number); },
                   .stepped =
                       [this](unsigned number) {
                         stop_for_debugger({Why::kStepped, number});
                       },
                   .meeting = [this] { hold_meeting(); }});
  timers_.stop();
  do_errands();  // whoever has asked shortly before the end gets it too
  std::lock_guard lock(ending_mutex_);
  run_over_ = true;
  pause_changed_.notify_all();
  return *ending_;
}

/// On the thread of any processor.
void Machine::engine_stopped(engine::Stop stop, unsigned number) {
  if (stop == engine::Stop::kBreakpoint) stop_for_debugger({DebugStop::Why::kBreakpoint, number});
  if (stop == engine::Stop::kShutdown) end({.kind = Ending::Kind::kTripleFault});
  if (stop == engine::Stop::kDisagreement) end({.kind = Ending::Kind::kDisagreement});
}

void Machine::hold_meeting() {
  do_errands();
  stand_while_paused();
}

void Machine::pause() {
  std::unique_lock lock(ending_mutex_);
  pause_wanted_ = true;
  processors_.call_meeting();
  pause_changed_.wait(lock, [this] { return standing_ || !pause_wanted_ || run_over_; });
}

void Machine::resume() {
  std::lock_guard lock(ending_mutex_);
  pause_wanted_ = false;
  pause_changed_.notify_all();
}

bool Machine::paused() {
  std::lock_guard lock(ending_mutex_);
  return to_stand();
}

/// While all processors stand. Their time-stamp counters stand too: a guest whose clocks disagree after a
/// pause would stop trusting one of them.
void Machine::stand_while_paused() {
  {
    std::lock_guard lock(ending_mutex_);
    if (!to_stand() || ending_) return;
  }
  stop_time();
  for (bool on = true; on;) {
    {
      std::unique_lock lock(ending_mutex_);
      standing_ = true;
      pause_changed_.notify_all();
      const auto stands = [this] { return held_ || (to_stand() && !ending_); };
      pause_changed_.wait(lock, [&] { return !stands() || !errands_.empty(); });
      on = stands();
      standing_ = on;
    }
    do_errands();
  }
  start_time();
}

/// What is due is done: a timer whose time has passed would be forgotten by a snapshot.
void Machine::stop_time() {
  timers_.stop();
  clock_.pause();
  timers_.run_due();
  stopped_tsc_ = __builtin_ia32_rdtsc();
}

void Machine::start_time() {
  const uint64_t stood = __builtin_ia32_rdtsc() - *stopped_tsc_;
  if (kvm_) kvm_->set_base({kvm_->base().tsc + stood, kvm_->base().nanoseconds});
  stopped_tsc_.reset();
  clock_.resume();
  for (size_t number = 0; number < processors_.size(); ++number) {
    cpu::Cpu& cpu = processors_[number];
    cpu.state.tsc_offset -= stood;  // by the same amount for all, so that they agree as before
    cpu.interrupts->tsc_changed(cpu.state.tsc_offset);
  }
  timers_.start();
}

void Machine::add_errand(std::function<void()> errand) {
  {
    std::lock_guard lock(ending_mutex_);
    errands_.push_back(std::move(errand));
  }
  processors_.call_meeting();
  pause_changed_.notify_all();
}

void Machine::do_errands() {
  std::vector<std::function<void()>> errands;
  {
    std::lock_guard lock(ending_mutex_);
    errands.swap(errands_);
  }
  for (const auto& errand : errands) errand();
}

void Machine::ask_report(std::function<void(const std::string&)> sink) {
  add_errand([this, sink = std::move(sink)] { sink(engine_report()); });
}

EngineDecision Machine::engine() {
  std::lock_guard lock(ending_mutex_);
  return decision_;
}

Result<> Machine::switch_engine(EngineKind kind) {
  const auto done = std::make_shared<std::promise<Result<>>>();
  std::future<Result<>> result = done->get_future();
  add_errand([this, kind, done] { done->set_value(change_engine(kind)); });
  // The processors meet between two instructions, unless the machine is just ending.
  if (result.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
    return fail("the processors do not meet; the machine may be ending");
  return result.get();
}

/// While all stand.
Result<> Machine::change_engine(EngineKind kind) {
  if (kind == decision_.kind) return {};
  if (moves()) return fail("the machine is moving to another process; switch its engine there");
  if (kind == EngineKind::kLockstep || decision_.kind == EngineKind::kLockstep)
    return fail("lockstep has to see a guest from its start to its end; start another machine for it");
  if (kind == EngineKind::kKvm) EIDOLON_TRY(fits_kvm(model_));
  if (kind == EngineKind::kKvm) EIDOLON_TRY(check_memory_is_here());
  EIDOLON_TRY(processors_.make_engines(kind, config_));
  // What the one has noted of the guest's writes the other does not know.
  if (memory_->logs_writes()) log_writes(false);
  std::lock_guard lock(ending_mutex_);
  decision_ = {.kind = kind, .reason = "as asked for"};
  return {};
}

void Machine::stop() {
  cancel_migration();
  devices_.stop_waiting();
  end({.kind = Ending::Kind::kStopped});
}

void Machine::end(const Ending& ending) {
  {
    std::lock_guard lock(ending_mutex_);
    if (!ending_) ending_ = ending;
  }
  processors_.finish();
  pause_changed_.notify_all();
}

size_t Machine::receive(std::span<const uint8_t> bytes) { return devices_.serial().receive(bytes); }

void Machine::set_input_room(std::function<void()> observer) {
  devices_.serial().set_room_observer(std::move(observer));
}

}  // namespace eidolon::machine
