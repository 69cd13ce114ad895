#include "device/chipset/cpu_hotplug.h"

#include "base/bits.h"

namespace eidolon::device {

namespace {

enum Offset : uint64_t { kSelector = 0, kFlags = 4, kCommand = 5, kData = 8 };
enum Command : uint8_t { kNextEvent = 0, kAnswerEvent = 1, kAnswerStatus = 2, kArchitecturalId = 3 };

constexpr uint8_t kEnabled = 1u << 0;
constexpr uint8_t kInserted = 1u << 1;
constexpr uint8_t kWanted = 1u << 2;
constexpr uint8_t kEject = 1u << 3;  ///< write-only
constexpr uint8_t kForFirmware = 1u << 4;

}  // namespace

CpuHotplug::CpuHotplug(const x86::Topology& topology, unsigned present, PmBlock& events,
                       std::function<void(unsigned)> ejected)
    : topology_(topology), events_(events), ejected_(std::move(ejected)) {
  for (unsigned i = 0; i < present && i < topology.processors(); ++i) slots_[i].present = true;
}

bool CpuHotplug::present(unsigned processor) const {
  std::lock_guard lock(mutex_);
  return processor < topology_.processors() && slots_[processor].present;
}

Result<> CpuHotplug::plugged_in(unsigned processor) {
  if (processor >= topology_.processors())
    return fail("the machine has room for {} processors; plug in one of 0 to {}", topology_.processors(),
                topology_.processors() - 1);
  std::lock_guard lock(mutex_);
  Slot& slot = slots_[processor];
  if (slot.present) return fail("processor {} is plugged in already; name another", processor);
  slot = {.present = true, .inserted = true, .answer = {}};
  events_.raise_event(kEvent);
  return {};
}

Result<> CpuHotplug::ask_for(unsigned processor) {
  if (processor == 0) return fail("processor 0 started the machine and has to stay; name another");
  std::lock_guard lock(mutex_);
  if (processor >= topology_.processors() || !slots_[processor].present)
    return fail("processor {} is not plugged in; name one that is", processor);
  slots_[processor].wanted = true;
  events_.raise_event(kEvent);
  return {};
}

CpuHotplug::Answer CpuHotplug::answer(unsigned processor) const {
  std::lock_guard lock(mutex_);
  return processor < topology_.processors() ? slots_[processor].answer : Answer{};
}

CpuHotplug::Slot* CpuHotplug::selected() {
  return selector_ < topology_.processors() ? &slots_[selector_] : nullptr;
}

/// Of the register that begins at `offset`. With a selector that names nobody, all read as zero.
uint64_t CpuHotplug::read_register(uint64_t offset) const {
  if (selector_ >= topology_.processors()) return 0;
  const Slot& slot = slots_[selector_];
  switch (offset) {
    case kFlags:
      return (slot.present ? kEnabled : 0u) | (slot.inserted ? kInserted : 0u) |
             (slot.wanted ? kWanted : 0u) | (slot.for_firmware ? kForFirmware : 0u);
    case kData:
      if (command_ == kNextEvent) return selector_;
      return command_ == kArchitecturalId ? topology_.apic_id(selector_) : 0;
    default:
      return 0;  // command data 2 has upper halves of IDs, which are zero
  }
}

uint64_t CpuHotplug::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const uint64_t first = offset >= kData ? uint64_t{kData} : offset >= kFlags ? offset : uint64_t{kSelector};
  return read_register(first) >> ((offset - first) * 8) & mask_below(size * 8);
}

void CpuHotplug::io_write(uint64_t offset, unsigned size, uint64_t value) {
  std::optional<unsigned> given_back;
  {
    std::lock_guard lock(mutex_);
    if (offset == kSelector && size == 4) {
      selector_ = static_cast<uint32_t>(value);
    } else if (selected() == nullptr) {
      return;
    } else if (offset == kFlags) {
      given_back = write_flags(static_cast<uint8_t>(value));
    } else if (offset == kCommand) {
      command_ = static_cast<uint8_t>(value);
      if (command_ == kNextEvent) select_next_event();
    } else if (offset == kData && size == 4) {
      write_data(static_cast<uint32_t>(value));
    }
  }
  if (given_back && ejected_) ejected_(*given_back);
}

std::optional<unsigned> CpuHotplug::write_flags(uint8_t value) {
  Slot& slot = *selected();
  if ((value & kInserted) != 0) slot.inserted = false;
  if ((value & kWanted) != 0) slot.wanted = false;
  if ((value & kForFirmware) != 0) slot.for_firmware = true;
  // The one that runs the first code of every boot is not given back.
  if ((value & kEject) == 0 || !slot.present || selector_ == 0) return std::nullopt;
  slot = {.answer = slot.answer};
  return selector_;
}

/// The search goes on behind the selected one, so that one with an event that is not cleared hides no other.
void CpuHotplug::select_next_event() {
  const unsigned count = topology_.processors();
  for (unsigned i = 0; i < count; ++i) {
    const unsigned processor = (selector_ + i) % count;
    if (!slots_[processor].inserted && !slots_[processor].wanted) continue;
    selector_ = processor;
    return;
  }
}

void CpuHotplug::write_data(uint32_t value) {
  if (command_ == kAnswerEvent) selected()->answer.event = value;
  if (command_ == kAnswerStatus) selected()->answer.status = value;
}

void CpuHotplug::reset() {
  std::lock_guard lock(mutex_);
  command_ = 0;
  for (Slot& slot : slots_) slot = {.present = slot.present, .answer = {}};
}

void CpuHotplug::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(selector_, command_);
  for (const Slot& slot : slots_)
    to(slot.present, slot.inserted, slot.wanted, slot.for_firmware, slot.answer.event, slot.answer.status);
  to.end();
}

void CpuHotplug::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint32_t selector = 0;
  uint8_t command = 0;
  std::array<Slot, x86::Topology::kMostProcessors> slots;
  from.begin(name());
  from(selector, command);
  for (Slot& slot : slots)
    from(slot.present, slot.inserted, slot.wanted, slot.for_firmware, slot.answer.event, slot.answer.status);
  from.end();
  if (from.failed()) return;
  selector_ = selector;
  command_ = command;
  slots_ = slots;
  slots_[0].present = true;
  for (size_t i = topology_.processors(); i < slots_.size(); ++i) slots_[i] = {};
}

}  // namespace eidolon::device
