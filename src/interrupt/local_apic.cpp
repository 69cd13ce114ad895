// Pending and serviced vectors, priorities, and the messages that come in. Registers are in
// local_apic_registers.cpp, MSRs in local_apic_msr.cpp.
#include "interrupt/local_apic.h"

#include <bit>

#include "base/bits.h"
#include "interrupt/local_apic_registers.h"

namespace eidolon::interrupt {

int VectorSet::highest() const {
  for (int i = 7; i >= 0; --i) {
    const uint32_t word = words[static_cast<unsigned>(i)];
    if (word != 0) return i * 32 + 31 - std::countl_zero(word);
  }
  return -1;
}

LocalApic::LocalApic(ApicBus& bus, TimerQueue& timers, uint32_t id, bool bootstrap, Pic* pic)
    : bus_(bus), pic_(pic), id_(id), bootstrap_(bootstrap), timer_(timers, [this] { timer_expired(); }) {
  reset();
}

void LocalApic::attach(cpu::EventFlags& events, TscReference tsc) {
  std::lock_guard lock(mutex_);
  events_ = &events;
  events.priority.task = priority_->task.load();
  priority_ = &events.priority;
  publish_waiting();
  timer_.set_tsc(std::move(tsc));
}

void LocalApic::reset() {
  std::lock_guard lock(mutex_);
  base_ = kAddress | x86::kApicBaseEnable | (bootstrap_ ? x86::kApicBaseBsp : 0);
  reset_registers();
  put_again();
}

void LocalApic::set_present(bool present) {
  std::lock_guard lock(mutex_);
  present_ = present;
  publish_address();
}

void LocalApic::init() {
  std::lock_guard lock(mutex_);
  if (keeper_ != nullptr) (void)read_lent(kApicId);  // the base as it is now
  reset_registers();
  put_again();
}

void LocalApic::reset_registers() {
  logical_ = 0;
  format_ = 0xffffffff;
  publish_address();
  spurious_ = 0xff;
  priority_->task = 0;
  request_ = {};
  publish_waiting();
  service_ = {};
  trigger_ = {};
  command_ = 0;
  lvt_.fill(kLvtMasked);
  // The virtual wire that firmware sets up for the bootstrap processor (MP specification, 3.6.2.2): a
  // kernel that is booted without firmware, and knows only the PIC, depends on it.
  if (bootstrap_) {
    lvt_[kLvtLint0] = static_cast<uint32_t>(DeliveryMode::kExtInt) << 8;
    lvt_[kLvtLint1] = static_cast<uint32_t>(DeliveryMode::kNmi) << 8;
  }
  errors_ = 0;
  error_status_ = 0;
  ext_int_ = false;
  timer_.reset();
}

bool LocalApic::enabled() const { return globally_enabled() && (spurious_ & kSpuriousEnable) != 0; }

uint8_t LocalApic::priority() const {
  const int service = service_.highest();
  const unsigned service_class = service < 0 ? 0 : static_cast<unsigned>(service) & 0xf0;
  const uint8_t task = priority_->task;
  return (task & 0xf0u) >= service_class ? task : static_cast<uint8_t>(service_class);
}

std::optional<uint8_t> LocalApic::arbitration_priority() const {
  std::lock_guard lock(mutex_);
  if (!enabled()) return std::nullopt;
  return priority();
}

/// The vector that the processor would get now, or -1.
int LocalApic::deliverable() const {
  const int highest = request_.highest();
  if (highest < 0 || !enabled()) return -1;
  return (static_cast<unsigned>(highest) & 0xf0) > (priority() & 0xf0u) ? highest : -1;
}

/// The 8259's request gets through: by LINT0 as ExtINT, past a disabled APIC, or as a bus message.
bool LocalApic::ext_int_pending() const {
  if (pic_ == nullptr) return false;
  if (ext_int_) return true;
  if (!lint_[0]) return false;
  const uint32_t entry = lvt_[kLvtLint0];
  const bool wire =
      (entry & kLvtMasked) == 0 && bits(entry, 10, 8) == static_cast<unsigned>(DeliveryMode::kExtInt);
  return !globally_enabled() || wire;
}

bool LocalApic::interrupt_pending() {
  std::lock_guard lock(mutex_);
  if (keeper_ != nullptr) return false;  // whoever keeps it sees to that
  return deliverable() >= 0 || ext_int_pending();
}

std::optional<uint8_t> LocalApic::acknowledge() {
  {
    std::lock_guard lock(mutex_);
    if (keeper_ != nullptr) return std::nullopt;
    const int vector = deliverable();
    if (vector >= 0) {
      request_.clear(static_cast<uint8_t>(vector));
      service_.set(static_cast<uint8_t>(vector));
      wake();  // for an ExtINT beside it
      return static_cast<uint8_t>(vector);
    }
    if (!ext_int_pending()) return std::nullopt;
    ext_int_ = false;
  }
  // Without our lock: the PIC's INT changes, and comes back to us through set_lint.
  const uint8_t vector = pic_->acknowledge();
  std::lock_guard lock(mutex_);
  wake();
  return vector;
}

uint8_t LocalApic::task_priority() {
  std::lock_guard lock(mutex_);
  return priority_->task >> 4;
}

void LocalApic::set_task_priority(uint8_t cr8) {
  std::lock_guard lock(mutex_);
  priority_->task = static_cast<uint8_t>(cr8 << 4);
  if (keeper_ == nullptr) wake();
}

namespace {
// The word that publish_address writes: modes, and the logical ID in the highest byte.
constexpr uint32_t kListens = 1, kListensAsX2 = 2, kListensFlat = 4;
}  // namespace

/// Under the lock, after a change of anything that it is made of.
void LocalApic::publish_address() {
  uint32_t address = logical_ & 0xff000000;
  if (present_ && globally_enabled()) address |= kListens;
  if (x2()) address |= kListensAsX2;
  if (format_ >> 28 == 0xf) address |= kListensFlat;
  address_.store(address, std::memory_order_release);
}

bool LocalApic::addressed_by(const ApicMessage& message) const {
  const uint32_t address = address_.load(std::memory_order_acquire);
  if ((address & kListens) == 0) return false;
  const uint32_t destination = message.destination;
  if (destination == kBroadcast) return true;
  if (!message.logical) return destination == id_;
  if ((address & kListensAsX2) != 0) return destination >> 16 == id_ >> 4 && bit(destination, id_ & 15);
  if (destination > 0xff) return false;  // of x2APICs
  const uint32_t mine = address >> 24;
  if ((address & kListensFlat) != 0) return (mine & destination) != 0;
  const bool same_cluster = mine >> 4 == destination >> 4 || destination >> 4 == 0xf;
  return same_cluster && (mine & destination & 0xf) != 0;
}

bool LocalApic::accept(const ApicMessage& message) {
  std::lock_guard lock(mutex_);
  if (keeper_ != nullptr) return present_ && pass_on(message);
  if (!present_ || !globally_enabled()) return false;
  switch (message.mode) {
    case DeliveryMode::kFixed:
    case DeliveryMode::kLowestPriority:
      if (!enabled()) return false;
      if (message.vector < 16) {
        set_error(kErrorReceiveIllegal);
        return false;
      }
      make_pending(message.vector, message.level);
      return true;
    case DeliveryMode::kNmi:
      raise(cpu::kEventNmi);
      return true;
    case DeliveryMode::kInit:
      // It undoes a SIPI before it that the processor has not seen yet.
      if (events_ != nullptr) events_->take(cpu::kEventSipi);
      raise(cpu::kEventInit);
      return true;
    case DeliveryMode::kStartup:
      if (events_ != nullptr) events_->sipi_vector = message.vector;
      raise(cpu::kEventSipi);
      return true;
    case DeliveryMode::kExtInt:
      ext_int_ = true;
      wake();
      return true;
    case DeliveryMode::kSmi:
      return true;  // there is no system-management mode to enter
  }
  return false;
}

void LocalApic::make_pending(uint8_t vector, bool level) {
  request_.set(vector);
  if (level) {
    trigger_.set(vector);
  } else {
    trigger_.clear(vector);
  }
  wake();
}

/// One of the local sources fires: its LVT entry says as what.
void LocalApic::local_interrupt(unsigned which) {
  uint32_t& entry = lvt_[which];
  if ((entry & kLvtMasked) != 0) return;
  const bool pin = which == kLvtLint0 || which == kLvtLint1;
  const bool has_mode = which != kLvtTimer && which != kLvtError;
  switch (has_mode ? static_cast<DeliveryMode>(bits(entry, 10, 8)) : DeliveryMode::kFixed) {
    case DeliveryMode::kNmi:
      raise(cpu::kEventNmi);
      break;
    case DeliveryMode::kInit:
      raise(cpu::kEventInit);
      break;
    case DeliveryMode::kExtInt:
      wake();
      break;
    case DeliveryMode::kFixed: {
      if (!enabled()) return;
      const auto vector = static_cast<uint8_t>(entry);
      if (vector < 16) {
        set_error(kErrorReceiveIllegal);
        return;
      }
      const bool level = pin && (entry & kLvtLevel) != 0;
      if (level && (entry & kLvtRemoteIrr) != 0) return;
      if (level) entry |= kLvtRemoteIrr;
      make_pending(vector, level);
      break;
    }
    default:
      break;
  }
}

void LocalApic::set_error(uint32_t error) {
  const bool fresh = (errors_ & error) == 0;
  errors_ |= error;
  // An error entry with an illegal vector of its own must not report itself for ever.
  if (fresh) local_interrupt(kLvtError);
}

void LocalApic::set_lint(unsigned pin, bool level) {
  std::lock_guard lock(mutex_);
  const bool rises = level && !lint_[pin & 1];
  lint_[pin & 1] = level;
  if (!rises) return;
  if (keeper_ != nullptr) {
    raise(pin == 0 ? cpu::kEventInterrupt : cpu::kEventNmi);
    return;
  }
  if (globally_enabled()) {
    local_interrupt(pin == 0 ? kLvtLint0 : kLvtLint1);
  } else if (pin == 0) {
    wake();
  } else {
    raise(cpu::kEventNmi);
  }
}

/// Before the task priority is looked at (SharedPriority).
void LocalApic::publish_waiting() {
  const int highest = request_.highest();
  priority_->waiting = highest < 0 ? uint8_t{0} : static_cast<uint8_t>(highest & 0xf0);
}

void LocalApic::wake() {
  publish_waiting();
  if (deliverable() >= 0 || ext_int_pending()) raise(cpu::kEventInterrupt);
}

void LocalApic::raise(uint32_t events) {
  if (events_ != nullptr) events_->raise(events);
}

void LocalApic::timer_expired() {
  std::lock_guard lock(mutex_);
  if (timer_.expire()) local_interrupt(kLvtTimer);
}

void LocalApic::tsc_changed(uint64_t offset) {
  std::lock_guard lock(mutex_);
  timer_.tsc_changed(offset);
}

void LocalApic::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 2);
  fields(*this, to);
  to.end();
}

void LocalApic::load(StateReader& from) {
  uint64_t page = 0;
  {
    std::lock_guard lock(mutex_);
    load_locked(from);
    if (globally_enabled()) page = base_ & ~uint64_t{0xfff};
  }
  if (base_observer_) base_observer_(page);
}

void LocalApic::load_locked(StateReader& from) {
  timer_.cancel();
  from.begin(name());
  fields(*this, from);
  from.end();
  constexpr uint64_t kKnownBits = x86::kApicBaseEnable | x86::kApicBaseX2Apic | x86::kApicBaseBsp;
  if (from.failed()) {
    base_ = kAddress | x86::kApicBaseEnable | (bootstrap_ ? x86::kApicBaseBsp : 0);
    reset_registers();
    return;
  }
  base_ &= kKnownBits | mask_below(52) << 12;
  spurious_ &= kSpuriousWritable;
  command_ &= uint64_t{0xffffffff} << 32 | kIcrWritable;
  publish_address();
  timer_.resume();
  wake();
}

}  // namespace eidolon::interrupt
