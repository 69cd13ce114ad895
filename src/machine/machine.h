// A virtual machine put together from its configuration, and its life.
//
//   create(), restore() --> run() --> Ending
//
// A machine runs once: a guest that resets gets a new machine from the same configuration, so nothing can be
// left over from its last life.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "cpu/cpu.h"
#include "cpu/cpuid_model.h"
#include "device/machine_control.h"
#include "engine/engine.h"
#include "machine/devices.h"
#include "machine/ending.h"
#include "machine/engine_choice.h"
#include "machine/machine_config.h"
#include "machine/migration_request.h"
#include "machine/processor_slots.h"
#include "machine/processors.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"
#include "migration/memory_layout.h"
#include "snapshot/memory_changes.h"
#include "snapshot/memory_writer.h"

namespace eidolon::snapshot {
class FileReader;
class MemoryChecker;
}  // namespace eidolon::snapshot
namespace eidolon::migration {
class PageFetcher;
class PageReceiver;
}  // namespace eidolon::migration

namespace eidolon::machine {

class Debugger;
class Migration;
struct SavedMachine;

class Machine final : private device::MachineControl {
 public:
  /// Gets what the guest writes to its serial port, on a processor's thread.
  using SerialSink = std::function<void(std::span<const uint8_t>)>;

  /// Loads the kernel and leaves the processor at its entry, or the firmware and leaves it at its reset
  /// vector. Starts no thread. The error is one sentence.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, SerialSink serial);
  /// The machine that a snapshot was taken of, to go on where it was. `config` is the snapshot's, but for
  /// what is not the machine's own (engine, log).
  static Result<std::unique_ptr<Machine>> restore(const SavedMachine& saved, const MachineConfig& config,
                                                  SerialSink serial);
  ~Machine() override;

  /// From any thread.
  [[nodiscard]] EngineDecision engine();
  /// What the engine counted, for a person to read. Not while the machine runs.
  [[nodiscard]] std::string engine_report() const { return processors_.report(); }

  /// Has `sink` called with engine_report() on the thread of run(), as soon as the processors can be
  /// interrupted. From any thread.
  void ask_report(std::function<void(const std::string&)> sink);
  /// Has the guest go on under another engine, which returns when it does. On failure it goes on under the
  /// one that it has. From any thread but that of run(), while that runs.
  Result<> switch_engine(EngineKind kind);

  // From any thread, while run() runs or before.
  /// Stops the processors and the machine's clock between two instructions. Returns when they stand, or at
  /// the end of the run.
  void pause();
  void resume();
  [[nodiscard]] bool paused();
  /// Writes a snapshot; the machine stands meanwhile. On failure there is no file, and the machine goes on.
  enum class AfterSave : uint8_t { kGoOn, kStop };
  struct SaveRequest {
    std::string path;
    snapshot::Packing packing = snapshot::Packing::kPlain;
    AfterSave then = AfterSave::kGoOn;
    /// What the guest writes from then on is known, for the next one to be `since` this one.
    bool track = false;
    /// Only what was written since the machine's last snapshot, which is in this file; empty: all memory.
    std::string since;
  };
  Result<> save(const SaveRequest& request);
  /// Begins to move to another process, and goes on meanwhile. run() ends with kMoved when it is there.
  Result<> migrate(const MigrationRequest& request);
  void cancel_migration();
  /// Of the last one; nothing: there was none.
  [[nodiscard]] std::optional<MigrationProgress> migration();
  // For a machine that has moved here, or comes from a snapshot, before run().
  /// Its clocks go on as if so much time had passed since they stopped.
  void skip_time(Nanoseconds time);
  /// The same for all the time since the snapshot was taken, by the host's time of day: a part of it at once,
  /// and the rest by leaps, between which the guest runs for a moment.
  Result<> catch_up(Nanoseconds time_of_day);
  /// It stands until resume().
  void start_paused();
  void press_power_button() { devices_.acpi_pm().press_power_button(); }
  /// As the reset button of a PC: run() ends with kReset.
  void press_reset_button() { end({.kind = Ending::Kind::kReset}); }
  /// Null: the processors of the machine stay as they are.
  [[nodiscard]] ProcessorSlots* slots() { return slots_ ? &*slots_ : nullptr; }
  [[nodiscard]] device::input::Input& input() { return devices_.input(); }
  /// Null: the machine has none.
  [[nodiscard]] const device::display::Vga* vga() const { return devices_.vga(); }
  /// Null: the machine has none.
  [[nodiscard]] device::virtio::Balloon* balloon() { return devices_.balloon(); }
  [[nodiscard]] uint64_t memory_bytes() const { return config_.memory_bytes; }
  /// Since the start, without pauses.
  [[nodiscard]] Nanoseconds up_time() const { return clock_.now(); }

  /// Runs the guest on the calling thread until its end. Once.
  [[nodiscard]] Ending run();
  /// Makes run() return, with kStopped unless the guest has ended already. From any thread.
  void stop();

  /// Bytes for the guest's serial port, from any thread. Returns how many were taken.
  size_t receive(std::span<const uint8_t> bytes);
  /// `observer` is called from a processor's thread when receive() has room again. Before run().
  void set_input_room(std::function<void()> observer);

 private:
  Machine(cpu::CpuidModel model, EngineDecision decision, std::unique_ptr<memory::GuestMemory> memory,
          SerialSink serial, const MachineConfig& config);
  static Result<std::unique_ptr<Machine>> make(const MachineConfig& config, SerialSink serial);
  /// But for what is to be in memory, and for the engine.
  Result<> assemble(const MachineConfig& config);
  Result<> load_kernel(const MachineConfig& config);

  // device::MachineControl
  void power_off() override { end({.kind = Ending::Kind::kPowerOff}); }
  void reset() override { end({.kind = Ending::Kind::kReset}); }
  void debug_exit(uint32_t value) override { end({.kind = Ending::Kind::kDebugExit, .debug_value = value}); }

  /// Notes the first ending and stops the processors.
  void end(const Ending& ending);
  void engine_stopped(engine::Stop stop, unsigned number);
  void hold_meeting();
  Result<> change_engine(EngineKind kind);
  void add_errand(std::function<void()> errand);
  void do_errands();
  void stand_while_paused();
  void stop_time();
  void start_time();

  // debugger.cpp
  friend class Debugger;
  struct DebugStop {
    enum class Why : uint8_t { kBreakpoint, kStepped } why;
    unsigned processor;
  };
  void stop_for_debugger(const DebugStop& stop);

  // machine_migration.cpp
  friend class Migration;
  [[nodiscard]] bool moves();
  /// Calls `task` on the thread of run() while all processors stand. False: the machine has ended.
  [[nodiscard]] bool while_all_stand(std::function<void()> task);
  // Which pages are written (GuestMemory::log_writes). While all stand.
  /// From now on, or no more.
  void log_writes(bool on);
  /// Calls visit(page) for those that were written since it was asked last.
  void collect_written(const std::function<void(uint64_t page)>& visit);
  void protect_memory();
  [[nodiscard]] migration::MemoryLayout memory_layout();
  Result<> take_moved_memory(const SavedMachine& saved);
  /// Nothing that needs all memory at once can be done until it is there.
  [[nodiscard]] Result<> check_memory_is_here() const;

  // machine_snapshot.cpp
  class StandStill;
  Result<> write_state(snapshot::FileWriter& to);
  Result<> write_memory(snapshot::FileWriter& to, const SaveRequest& request);
  Result<> check_base(const SaveRequest& request);
  [[nodiscard]] std::vector<snapshot::PagePlace> take_changes();
  Result<> read_state(const SavedMachine& saved);
  Result<> read_processors(const snapshot::FileReader& from);
  [[nodiscard]] std::vector<Stateful*> parts();
  Result<> write_paravirt_clock(snapshot::FileWriter& to);
  Result<> read_paravirt_clock(const snapshot::FileReader& from);
  Result<> read_memory(const SavedMachine& saved);
  [[nodiscard]] std::vector<std::span<uint8_t>> own_memory();

  // In the order of construction; each uses only what stands above it.
  const MachineConfig config_;
  const cpu::CpuidModel model_;
  EngineDecision decision_;  ///< changes under ending_mutex_, while all stand
  HostClock clock_;
  TimerQueue timers_{clock_};
  const std::unique_ptr<memory::GuestMemory> memory_;
  std::shared_ptr<migration::PageFetcher> fetcher_;  ///< of a machine that moved here before its memory
  memory::IoBus ports_;
  memory::IoBus mmio_;
  Devices devices_;
  std::optional<paravirt::kvm::Host> kvm_;  ///< nothing: not offered
  Processors processors_;
  std::optional<ProcessorSlots> slots_;  ///< nothing: all processors are there from the start
  /// What the host's time-stamp counter showed when the clocks stopped; nothing: they run, or have not begun.
  std::optional<uint64_t> stopped_tsc_;
  std::unique_ptr<snapshot::MemoryChecker> memory_checker_;  ///< of a machine that came from a snapshot
  Nanoseconds stopped_at_ = 0;  ///< the host's time of day, as that says; 0: it does not
  std::jthread leaps_;          ///< of catch_up

  std::mutex still_mutex_;   ///< held by the one StandStill; before any other
  uint64_t log_number_ = 0;  ///< how often a log of writes has begun; while all stand
  /// Since which snapshot it is known what the guest has written, as long as the log is that one. Of save().
  struct Tracked {
    snapshot::Base since;
    uint64_t log;
  };
  std::optional<Tracked> tracked_;
  std::mutex migration_mutex_;
  std::unique_ptr<Migration> migration_;  ///< the last one

  std::mutex ending_mutex_;  ///< of what follows; taken last: device locks may be held
  std::condition_variable pause_changed_;
  bool pause_wanted_ = false;
  struct {
    std::function<void()> told;     ///< that there is a stop; empty: there is no debugger
    std::optional<DebugStop> stop;  ///< the first that it has not asked for yet
    bool holds = false;             ///< it stands, whether or not a pause is wanted as well
  } debugged_;
  [[nodiscard]] bool to_stand() const { return pause_wanted_ || debugged_.holds; }
  bool held_ = false;      ///< somebody looks at what stands: it stands even if the machine has ended
  bool standing_ = false;  ///< run() has seen pause_wanted_
  bool run_over_ = false;
  std::optional<Ending> ending_;
  std::vector<std::function<void()>> errands_;  ///< to be done on the thread of run() while all stand
};

}  // namespace eidolon::machine
