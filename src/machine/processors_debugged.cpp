// What of Processors is for a debugger outside the guest (debugger.h).
//
// A processor that is told to step is stepped by an engine of its own kind for that, whatever engine runs the
// guest: the state is the same, the guest's TF and debug registers are not needed for it, and no interrupt
// handler comes in between.
#include <utility>

#include "base/try.h"
#include "engine/events.h"
#include "machine/processors.h"

namespace eidolon::machine {

void Processors::order(size_t number, Order order) { processors_[number]->order = order; }

Result<> Processors::add_breakpoint(uint64_t linear) {
  if (breakpoints_.has(linear)) return {};
  EIDOLON_TRY(check_breakpoints(*processors_.front()->engine, breakpoints_.addresses().size() + 1));
  breakpoints_.add(linear);
  show_breakpoints();
  return {};
}

void Processors::remove_breakpoint(uint64_t linear) {
  breakpoints_.remove(linear);
  show_breakpoints();
}

Result<> Processors::check_breakpoints(const engine::Engine& engine, size_t count) const {
  const size_t most = engine.most_breakpoints();
  if (count <= most) return {};
  if (most == 0)
    return fail("this host's KVM has no breakpoints for debuggers; eidolon engine translate brings them");
  return fail(
      "the {} engine has {} breakpoints at most, which are the host processor's own; remove one, or use "
      "eidolon engine translate",
      engine.name(), most);
}

/// Without breakpoints engines have nothing to ask for.
void Processors::show_breakpoints() {
  for (const auto& processor : processors_)
    processor->cpu.breakpoints = breakpoints_.addresses().empty() ? nullptr : &breakpoints_;
}

engine::Stop Processors::carry_out_order(Processor& processor) {
  if (processor.order == Order::kStand) {
    stand();
    return engine::Stop::kRequested;
  }
  processor.cpu.turn.take();
  const engine::Stop stop = processor.order == Order::kStep ? step_once(processor) : processor.engine->run();
  processor.cpu.turn.give();
  return stop;
}

/// Until the next meeting, or the end.
void Processors::stand() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return finished_ || meeting_called_; });
}

engine::Stop Processors::step_once(Processor& processor) {
  cpu::Cpu& cpu = processor.cpu;
  if (cpu.events.take(cpu::kEventStop) != 0) return engine::Stop::kRequested;
  if (cpu.state.activity != cpu::Activity::kRunning) {
    const auto stop = engine::service_events(cpu);
    cpu.events.raise(cpu::kEventMapChanged);
    if (stop) return *stop;
  } else {
    engine::settle_changes(cpu);
    cpu.events.raise(cpu::kEventMapChanged);  // the processor's own engine may have more to do about it
    if (processor.debugged == nullptr) processor.debugged = std::make_unique<engine::StepEngine>(cpu);
    // The one at this very instruction would stop the step before it begins.
    const cpu::Breakpoints* breakpoints = std::exchange(cpu.breakpoints, nullptr);
    const bool alive = processor.debugged->step();
    cpu.breakpoints = breakpoints;
    if (!alive) return engine::Stop::kShutdown;
  }
  processor.order = Order::kStand;
  observer_.stepped(cpu.index);
  return engine::Stop::kRequested;
}

}  // namespace eidolon::machine
