#include "machine/debugger.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "mmu/look.h"

namespace eidolon::machine {

namespace {

/// The parts of a linear range that lie on one page each.
struct Part {
  uint64_t linear;
  size_t done, length;
};
std::optional<Part> part_after(uint64_t linear, size_t done, size_t length) {
  if (done == length) return std::nullopt;
  const uint64_t at = linear + done;
  const uint64_t in_page = x86::kPageSize - (at & x86::kPageMask);
  return Part{at, done, static_cast<size_t>(std::min<uint64_t>(in_page, length - done))};
}

}  // namespace

/// On a processor's thread. Later stops wait in their processors: they meet the breakpoint again.
void Machine::stop_for_debugger(const DebugStop& stop) {
  std::lock_guard lock(ending_mutex_);
  if (!debugged_.told) return;  // it has left meanwhile
  debugged_.holds = true;
  if (!debugged_.stop) debugged_.stop = stop;
  processors_.call_meeting();
  debugged_.told();
}

Debugger::Debugger(Machine& machine, Start start, std::function<void()> told) : machine_(machine) {
  std::lock_guard lock(machine_.ending_mutex_);
  machine_.debugged_.told = std::move(told);
  machine_.debugged_.holds = start == Start::kStands;
  if (machine_.debugged_.holds) machine_.processors_.call_meeting();
}

Result<> Debugger::begin_with(std::span<const uint64_t> breakpoints) {
  for (const uint64_t linear : breakpoints) EIDOLON_TRY(machine_.processors_.add_breakpoint(linear));
  return {};
}

Debugger::~Debugger() {
  while_all_stand([this] {
    Processors& all = machine_.processors_;
    while (!all.breakpoints().addresses().empty())
      all.remove_breakpoint(all.breakpoints().addresses().front());
  });
  go_on(std::vector(processors(), Order::kRun));
  std::lock_guard lock(machine_.ending_mutex_);
  machine_.debugged_ = {};
}

bool Debugger::while_all_stand(std::function<void()> task) {
  {
    std::lock_guard lock(machine_.ending_mutex_);
    if (machine_.run_over_) return false;
  }
  return machine_.while_all_stand(std::move(task));
}

void Debugger::hold() {
  std::unique_lock lock(machine_.ending_mutex_);
  machine_.debugged_.holds = true;
  machine_.processors_.call_meeting();
  machine_.pause_changed_.wait(lock, [this] { return machine_.standing_ || machine_.run_over_; });
}

void Debugger::go_on(const std::vector<Order>& orders) {
  while_all_stand([this, &orders] {
    for (size_t number = 0; number < orders.size(); ++number)
      machine_.processors_.order(number, orders[number]);
    std::lock_guard lock(machine_.ending_mutex_);
    machine_.debugged_.stop.reset();  // it has been told of none since, and asks for none from before
    machine_.debugged_.holds = false;
  });
}

std::optional<Debugger::Stop> Debugger::take_stop() {
  std::lock_guard lock(machine_.ending_mutex_);
  return std::exchange(machine_.debugged_.stop, std::nullopt);
}

bool Debugger::visit(size_t processor, const std::function<void(cpu::State&)>& visit) {
  return while_all_stand([&] { visit(machine_.processors_[processor].state); });
}

std::vector<uint8_t> Debugger::read(size_t processor, uint64_t linear, size_t length) {
  std::vector<uint8_t> bytes;
  while_all_stand([&] {
    const memory::GuestMemory& memory = *machine_.memory_;
    const auto& controls = machine_.processors_[processor].state.control;
    while (const auto part = part_after(linear, bytes.size(), length)) {
      const auto physical = mmu::look(memory, controls, part->linear);
      if (!physical) return;
      const size_t before = bytes.size();
      bytes.resize(before + part->length);
      if (memory.read(*physical, bytes.data() + before, part->length)) continue;
      bytes.resize(before);
      return;
    }
  });
  return bytes;
}

bool Debugger::write(size_t processor, uint64_t linear, std::span<const uint8_t> bytes) {
  bool written = false;
  const bool stood = while_all_stand([&] {
    memory::GuestMemory& memory = *machine_.memory_;
    const auto& controls = machine_.processors_[processor].state.control;
    std::vector<std::pair<Part, uint8_t*>> places;
    size_t done = 0;
    while (const auto part = part_after(linear, done, bytes.size())) {
      const auto physical = mmu::look(memory, controls, part->linear);
      const auto place = physical ? memory.locate(*physical) : std::nullopt;
      if (!place || place->kind != memory::RegionKind::kRam || place->left < part->length) return;
      places.emplace_back(Part{*physical, part->done, part->length}, place->host);
      done += part->length;
    }
    for (const auto& [part, host] : places) {
      std::memcpy(host, bytes.data() + part.done, part.length);
      memory.after_foreign_write(part.linear, part.length);
    }
    written = true;
  });
  return stood && written;
}

Result<> Debugger::add_breakpoint(uint64_t linear) {
  Result<> added = fail("the machine has ended");
  while_all_stand([&] { added = machine_.processors_.add_breakpoint(linear); });
  return added;
}

void Debugger::remove_breakpoint(uint64_t linear) {
  while_all_stand([&] { machine_.processors_.remove_breakpoint(linear); });
}

}  // namespace eidolon::machine
