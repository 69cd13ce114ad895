// Machine::save and Machine::restore (docs/snapshots.md). The machine stands, and nothing of its devices
// moves, while what it is made of is written down; time stands with it, so that its guest sees no gap.
#include <algorithm>
#include <utility>

#include "backend/terminal.h"
#include "base/try.h"
#include "cpu/saved_model.h"
#include "cpu/saved_state.h"
#include "machine/machine.h"
#include "machine/saved_machine.h"
#include "machine/saved_media.h"
#include "machine/stand_still.h"
#include "migration/state.h"
#include "snapshot/memory_checker.h"
#include "snapshot/memory_reader.h"

namespace eidolon::machine {

namespace {

/// At work when this returns. Null: this snapshot's memory is checked as it is unpacked.
Result<std::unique_ptr<snapshot::MemoryChecker>> make_checker(const snapshot::FileReader& file) {
  snapshot::MemoryIndex index = EIDOLON_TRY(snapshot::read_memory_index(file));
  if (index.packed) return nullptr;
  snapshot::FileReader own = EIDOLON_TRY(file.duplicate());
  return std::make_unique<snapshot::MemoryChecker>(std::move(own), std::move(index));
}

std::string section_of(const cpu::Cpu& cpu) { return fmt::format("cpu{}", cpu.index); }

}  // namespace

Result<> Machine::save(const SaveRequest& request) {
  if (decision_.kind == EngineKind::kLockstep)
    return fail(
        "--engine lockstep runs two processors beside each other, and a snapshot is of one; use another");
  // Both would take what is known of the guest's writes.
  if (moves()) return fail("the machine is moving to another process; take the snapshot there");
  EIDOLON_TRY(check_memory_is_here());
  snapshot::FileWriter file = EIDOLON_TRY(snapshot::FileWriter::create(request.path));
  std::optional<StandStill> still(std::in_place, *this);
  EIDOLON_TRY(still->hold_devices());
  EIDOLON_TRY(check_base(request));
  EIDOLON_TRY(write_state(file));
  EIDOLON_TRY(write_memory(file, request));
  if (!request.track) {
    log_writes(false);
  } else if (!memory_->logs_writes()) {
    log_writes(true);
  }
  const uint64_t log = log_number_;
  if (request.then == AfterSave::kGoOn) still.reset();  // what follows takes as long as the disk does
  EIDOLON_TRY(file.finish());
  if (request.then == AfterSave::kStop) {
    still->leave_devices_held();
    stop();
  }
  if (request.track) tracked_ = {.since = {.path = request.path, .identity = file.identity()}, .log = log};
  return {};
}

/// Whether what is known of the guest's writes begins with the snapshot that is named.
Result<> Machine::check_base(const SaveRequest& request) {
  if (request.since.empty()) return {};
  if (!tracked_ || tracked_->log != log_number_ || !memory_->logs_writes())
    return fail(
        "it is not known what the guest has written since '{}'; take one with all its memory, and --track",
        request.since);
  const snapshot::FileReader base = EIDOLON_TRY(snapshot::FileReader::open(request.since));
  if (base.identity() == tracked_->since.identity) return {};
  return fail("what the guest has written is known since '{}', which '{}' is not; name that one",
              tracked_->since.path, request.since);
}

Result<> Machine::write_memory(snapshot::FileWriter& to, const SaveRequest& request) {
  // What is taken from the log is known no more, if there will be no file.
  const std::optional<Tracked> tracked = std::exchange(tracked_, std::nullopt);
  const auto own = own_memory();
  const std::vector<snapshot::Bytes> pieces(own.begin(), own.end());
  if (request.since.empty()) {
    if (request.track && memory_->logs_writes()) (void)take_changes();  // they are in this one
    return snapshot::write_memory(to, pieces, request.packing);
  }
  const snapshot::Base base = {.path = request.since, .identity = tracked->since.identity};
  return snapshot::write_changes(to, base, pieces, take_changes(), request.packing);
}

std::vector<snapshot::PagePlace> Machine::take_changes() {
  std::vector<snapshot::PagePlace> pages;
  const migration::MemoryLayout layout = memory_layout();
  collect_written([&](uint64_t page) {
    for (uint32_t piece = 0; piece < layout.pieces.size(); ++piece) {
      const uint64_t first = layout.pieces[piece].offset / snapshot::kPageBytes;
      if (page - first < layout.pieces[piece].length / snapshot::kPageBytes)
        pages.push_back({.piece = piece, .number = static_cast<uint32_t>(page - first)});
    }
  });
  return pages;
}

/// All but the memory.
Result<> Machine::write_state(snapshot::FileWriter& to) {
  EIDOLON_TRY(write_clock(to, {.now = clock_.now(), .time_of_day = migration::time_of_day()}));
  StateWriter model;
  cpu::save_model(model, model_);
  EIDOLON_TRY(to.add("cpuid", model.bytes()));
  for (size_t number = 0; number < processors_.size(); ++number) {
    StateWriter state;
    cpu::save_processor(state, processors_[number], *stopped_tsc_);
    EIDOLON_TRY(to.add(section_of(processors_[number]), state.bytes()));
  }
  EIDOLON_TRY(write_paravirt_clock(to));
  EIDOLON_TRY(write_parts(to, parts()));
  const nlohmann::json media = EIDOLON_TRY(save_media(to, devices_.media()));
  return write_description(to, config_, media);
}

Result<std::unique_ptr<Machine>> Machine::restore(const SavedMachine& saved, const MachineConfig& config,
                                                  SerialSink serial) {
  if (config.engine == EngineChoice::kLockstep)
    return fail("--engine lockstep has to see a guest from its start; use auto, translate or step");
  // Memory that came by a migration is checked, and so is what was written since another snapshot.
  std::unique_ptr<snapshot::MemoryChecker> checker =
      saved.memory == nullptr
          ? EIDOLON_TRY(make_checker(saved.bases.empty() ? saved.file : saved.bases.back()))
          : nullptr;
  std::unique_ptr<Machine> machine = EIDOLON_TRY(make(config, std::move(serial)));
  EIDOLON_TRY(machine->read_state(saved));
  EIDOLON_TRY(machine->processors_.make_engines(machine->decision_.kind, config));
  if (checker == nullptr) return machine;
  EIDOLON_TRY(checker->watch([of = machine.get()](const Error& error) {
    backend::say("eidolon: " + error.message);
    of->end({.kind = Ending::Kind::kDamaged});
  }));
  machine->memory_checker_ = std::move(checker);
  return machine;
}

Result<> Machine::read_state(const SavedMachine& saved) {
  const std::vector<uint8_t> model = EIDOLON_TRY(saved.file.section("cpuid"));
  StateReader reader(model);
  EIDOLON_TRY(cpu::check_model(reader, model_));
  const SavedClock clock = EIDOLON_TRY(read_clock(saved.file));
  clock_.pause_at(clock.now);
  stopped_at_ = clock.time_of_day;
  stopped_tsc_ = __builtin_ia32_rdtsc();
  EIDOLON_TRY(load_media(saved.file, saved.media, devices_.media(), [&saved](const std::string& path) {
    return saved.changed_disks || std::ranges::find(saved.given_disks, path) != saved.given_disks.end();
  }));
  EIDOLON_TRY(read_memory(saved));
  EIDOLON_TRY(devices_.show_pmem());
  EIDOLON_TRY(read_processors(saved.file));
  EIDOLON_TRY(read_paravirt_clock(saved.file));
  // Devices may go on with requests as soon as they are loaded, but for those that were not yet: none goes
  // on.
  EIDOLON_TRY(devices_.hold());
  devices_.wires().hold();
  const Result<> loaded = read_parts(saved.file, parts());
  devices_.wires().release();
  devices_.release();
  if (!loaded) return loaded;
  // A machine that has moved is still the only one of its kind.
  return saved.memory == nullptr ? devices_.generation_id().renew() : Result<>();
}

/// Who is plugged in comes after the local APICs, which do not know it by themselves.
std::vector<Stateful*> Machine::parts() {
  std::vector<Stateful*> parts = devices_.parts();
  if (slots_) parts.push_back(&*slots_);
  for (size_t number = 0; kvm_ && number < processors_.size(); ++number)
    parts.push_back(processors_.paravirt(number));
  return parts;
}

/// The guest has told its clock's base in its own time-stamp counter, which goes on; of the host's it is as
/// far back now as it was when the clocks stopped.
Result<> Machine::write_paravirt_clock(snapshot::FileWriter& to) {
  if (!kvm_) return {};
  StateWriter base;
  base.begin("kvm-clock", 1);
  base(*stopped_tsc_ - kvm_->base().tsc, kvm_->base().nanoseconds);
  base.end();
  return to.add("kvm-clock", base.bytes());
}

Result<> Machine::read_paravirt_clock(const snapshot::FileReader& from) {
  if (!kvm_) return {};
  const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section("kvm-clock"));
  StateReader reader(bytes);
  uint64_t ticks = 0;
  Nanoseconds nanoseconds = 0;
  reader.begin("kvm-clock");
  reader(ticks, nanoseconds);
  if (reader.failed())
    return fail("the snapshot '{}' is damaged in its paravirtual clock; restore from another copy",
                from.path());
  kvm_->set_base({*stopped_tsc_ - ticks, nanoseconds});
  return {};
}

Result<> Machine::read_processors(const snapshot::FileReader& from) {
  for (size_t number = 0; number < processors_.size(); ++number) {
    const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section(section_of(processors_[number])));
    StateReader reader(bytes);
    EIDOLON_TRY(cpu::load_processor(reader, processors_[number], *stopped_tsc_));
  }
  return {};
}

/// All memory, whatever of it is shown where, in the order in which it was added: it is one mapping, which
/// begins with the region at 0. The display memory in it is left out, for the adapter keeps that itself.
std::vector<std::span<uint8_t>> Machine::own_memory() {
  const auto regions = memory_->regions();
  uint64_t length = 0;
  for (const memory::Region& region : regions) length += region.length;
  const std::span<uint8_t> rest(regions.front().host, length);
  if (devices_.vga() == nullptr) return {rest};
  const std::span<const uint8_t> window = devices_.vga()->memory();
  const auto before = static_cast<size_t>(window.data() - rest.data());
  // SAFETY: what is behind the window follows it in the same mapping.
  return {rest.first(before), {rest.data() + before + window.size(), length - before}};
}

Result<> Machine::read_memory(const SavedMachine& saved) {
  if (saved.memory != nullptr) return take_moved_memory(saved);
  return snapshot::read_memory_and_changes(saved.file, saved.bases, own_memory());
}

}  // namespace eidolon::machine
