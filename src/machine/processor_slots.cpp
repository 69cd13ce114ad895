#include "machine/processor_slots.h"

#include <optional>

#include "base/try.h"

namespace eidolon::machine {

using device::CpuHotplug;

ProcessorSlots::ProcessorSlots(const x86::Topology& topology, unsigned present, Devices& devices,
                               Processors& processors)
    : devices_(devices),
      processors_(processors),
      registers_(topology, present, devices.pm_block(), [this](unsigned number) { ejected(number); }) {
  follow_registers();
}

void ProcessorSlots::follow_registers() {
  for (unsigned number = 0; number < size(); ++number) {
    taken_[number] = registers_.present(number);
    set_present(number, taken_[number]);
  }
}

Result<> ProcessorSlots::attach(memory::IoBus& ports) {
  return ports.attach(CpuHotplug::kPort, CpuHotplug::kPorts, registers_, "processor slots");
}

Result<unsigned> ProcessorSlots::add() {
  std::optional<unsigned> free;
  {
    std::lock_guard lock(mutex_);
    for (unsigned number = 0; number < size() && !free; ++number)
      if (!taken_[number]) free = number;
    if (!free) return fail("all {} processors that the machine has room for are plugged in", size());
    taken_.set(*free);
  }
  processors_.reset_apic(*free);
  set_present(*free, true);
  EIDOLON_TRY(registers_.plugged_in(*free));
  return *free;
}

Result<unsigned> ProcessorSlots::remove() {
  for (auto number = static_cast<unsigned>(size()); number-- > 1;) {
    if (!registers_.present(number)) continue;
    EIDOLON_TRY(registers_.ask_for(number));
    return number;
  }
  return fail("processor 0 is the only one that is plugged in, and it has to stay");
}

std::vector<unsigned> ProcessorSlots::present() const {
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < size(); ++number)
    if (registers_.present(number)) numbers.push_back(number);
  return numbers;
}

void ProcessorSlots::load(StateReader& from) {
  registers_.load(from);
  std::lock_guard lock(mutex_);
  follow_registers();
}

void ProcessorSlots::set_present(unsigned number, bool present) {
  devices_.local_apics()[number]->set_present(present);
}

/// On the thread of the processor that gave it back, which may be this one itself.
void ProcessorSlots::ejected(unsigned number) {
  std::lock_guard lock(mutex_);
  set_present(number, false);
  processors_.shut_off(number);
  taken_.reset(number);
}

}  // namespace eidolon::machine
