// The registers themselves, and the xAPIC page that shows them.
#include "interrupt/local_apic_registers.h"

#include "base/bits.h"
#include "interrupt/local_apic.h"

namespace eidolon::interrupt {

namespace {

/// Writable bits of each LVT entry, in register order (SDM volume 3, figure 11-8).
constexpr std::array<uint32_t, 6> kLvtWritable{
    0x000700ff,  // timer: vector, mask, mode
    0x000107ff,  // thermal
    0x000107ff,  // performance
    0x0001a7ff,  // LINT0
    0x0001a7ff,  // LINT1
    0x000100ff,  // error
};

}  // namespace

uint64_t LocalApic::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const auto index = static_cast<unsigned>(offset >> 4);
  const uint32_t lent = keeper_ != nullptr ? read_lent(index) : 0;  // and with it the mode
  if (!globally_enabled() || x2()) return mask_below(size * 8);
  const unsigned within = static_cast<unsigned>(offset & 0xf);
  if (within >= 4) return 0;
  return uint64_t{keeper_ != nullptr ? lent : read_register(index)} >> (within * 8) & mask_below(size * 8);
}

void LocalApic::io_write(uint64_t offset, unsigned size, uint64_t value) {
  Followup followup;
  {
    std::lock_guard lock(mutex_);
    // Anything but an aligned 32-bit store is undefined (11.4.1): it does nothing here.
    if ((offset & 0xf) != 0 || size < 4) return;
    const auto index = static_cast<unsigned>(offset >> 4);
    if (keeper_ != nullptr) {
      followup = write_lent(index, static_cast<uint32_t>(value));
    } else if (globally_enabled() && !x2()) {
      followup = write_register(index, static_cast<uint32_t>(value));
    }
  }
  carry_out(followup);
}

uint32_t LocalApic::read_register(unsigned index) {
  if (index >= kApicIsr && index < kApicTmr) return service_.words[index - kApicIsr];
  if (index >= kApicTmr && index < kApicIrr) return trigger_.words[index - kApicTmr];
  if (index >= kApicIrr && index < kApicEsr) return request_.words[index - kApicIrr];
  if (index >= kApicLvtTimer && index <= kApicLvtError) return lvt_[index - kApicLvtTimer];
  switch (index) {
    case kApicId:
      return x2() ? id_ : id_ << 24;
    case kApicVersion:
      return kVersion;
    case kApicTpr:
      return priority_->task;
    case kApicApr:
    case kApicPpr:
      return priority();
    case kApicLdr:
      return x2() ? (id_ >> 4) << 16 | 1u << (id_ & 15) : logical_;
    case kApicDfr:
      return format_;
    case kApicSpurious:
      return spurious_;
    case kApicEsr:
      return error_status_;
    case kApicIcrLow:
      return static_cast<uint32_t>(command_);
    case kApicIcrHigh:
      return static_cast<uint32_t>(command_ >> 32);
    case kApicInitialCount:
      return timer_.initial_count();
    case kApicCurrentCount:
      return timer_.current_count();
    case kApicDivide:
      return timer_.divide();
    default:
      return 0;
  }
}

LocalApic::Followup LocalApic::write_register(unsigned index, uint32_t value) {
  if (index >= kApicLvtTimer && index <= kApicLvtError) {
    write_lvt(index - kApicLvtTimer, value);
    return {};
  }
  switch (index) {
    case kApicTpr:
      priority_->task = static_cast<uint8_t>(value);
      wake();
      break;
    case kApicEoi:
      return end_of_interrupt();
    case kApicLdr:
      logical_ = value & 0xff000000;
      publish_address();
      break;
    case kApicDfr:
      format_ = value | 0x0fffffff;
      publish_address();
      break;
    case kApicSpurious:
      write_spurious(value);
      break;
    case kApicEsr:
      error_status_ = errors_;
      errors_ = 0;
      break;
    case kApicIcrLow:
      return send(value);
    case kApicIcrHigh:
      command_ = uint64_t{value} << 32 | static_cast<uint32_t>(command_);
      break;
    case kApicInitialCount:
      timer_.write_initial_count(value);
      break;
    case kApicDivide:
      timer_.write_divide(value);
      break;
    default:
      break;
  }
  return {};
}

void LocalApic::write_spurious(uint32_t value) {
  spurious_ = value & kSpuriousWritable;
  if ((spurious_ & kSpuriousEnable) == 0) {  // software-disabled: all entries are masked (11.4.7.2)
    for (uint32_t& entry : lvt_) entry |= kLvtMasked;
    timer_.set_mode(static_cast<ApicTimer::Mode>(bits(lvt_[kLvtTimer], 18, 17)), true);
  }
  wake();
}

void LocalApic::write_lvt(unsigned which, uint32_t value) {
  const uint32_t kept = lvt_[which] & kLvtRemoteIrr;
  const bool was_masked = (lvt_[which] & kLvtMasked) != 0;
  lvt_[which] = (value & kLvtWritable[which]) | ((value & kLvtLevel) != 0 ? kept : 0);
  if ((spurious_ & kSpuriousEnable) == 0) lvt_[which] |= kLvtMasked;
  const bool masked = (lvt_[which] & kLvtMasked) != 0;
  if (which == kLvtTimer) timer_.set_mode(static_cast<ApicTimer::Mode>(bits(value, 18, 17)), masked);
  // A pin that is already asserted counts when its entry is opened: a level stays, and the PIC's INT does.
  const bool level = (lvt_[which] & kLvtLevel) != 0;
  if (which == kLvtLint0 && lint_[0] && (level || was_masked) && !masked) local_interrupt(which);
  wake();
}

LocalApic::Followup LocalApic::end_of_interrupt() {
  const int highest = service_.highest();
  if (highest < 0) return {};
  const auto vector = static_cast<uint8_t>(highest);
  service_.clear(vector);
  Followup followup;
  if (trigger_.test(vector)) {
    followup = {.kind = Followup::Kind::kEndOfInterrupt, .vector = vector};
    for (const unsigned which : {kLvtLint0, kLvtLint1}) {
      uint32_t& entry = lvt_[which];
      if ((entry & kLvtRemoteIrr) == 0 || static_cast<uint8_t>(entry) != vector) continue;
      entry &= ~kLvtRemoteIrr;
      if (lint_[which - kLvtLint0]) local_interrupt(which);
    }
  }
  wake();
  return followup;
}

/// A write of the ICR's low half sends it (SDM volume 3, 11.6.1).
LocalApic::Followup LocalApic::send(uint32_t low) {
  command_ = (command_ >> 32 << 32) | (low & kIcrWritable);
  const auto mode = static_cast<DeliveryMode>(bits(low, 10, 8));
  const auto high = static_cast<uint32_t>(command_ >> 32);
  ApicMessage message{.destination = x2() ? high : widened_destination(static_cast<uint8_t>(high >> 24)),
                      .logical = (low & kIcrLogical) != 0,
                      .mode = mode,
                      .vector = static_cast<uint8_t>(low)};
  const bool vectored = mode == DeliveryMode::kFixed || mode == DeliveryMode::kLowestPriority;
  if (vectored && message.vector < 16) {
    set_error(kErrorSendIllegal);
    return {};
  }
  // INIT level de-assert only synchronizes arbitration IDs, on processors that had them.
  if (mode == DeliveryMode::kInit && (low & kIcrLevel) != 0 && (low & kIcrAssert) == 0) return {};
  if (mode == DeliveryMode::kExtInt) return {};  // reserved in the ICR
  switch (bits(low, 19, 18)) {
    case 0:
      return {.kind = Followup::Kind::kSend, .message = message};
    case 1:
      if (vectored && enabled()) make_pending(message.vector, false);
      if (mode == DeliveryMode::kNmi) raise(cpu::kEventNmi);
      return {};
    case 2:
      message.destination = kBroadcast;
      return {.kind = Followup::Kind::kSend, .message = message};
    default:
      message.destination = kBroadcast;
      return {.kind = Followup::Kind::kSendToOthers, .message = message};
  }
}

void LocalApic::carry_out(const Followup& followup) {
  switch (followup.kind) {
    case Followup::Kind::kNone:
      break;
    case Followup::Kind::kEndOfInterrupt:
      bus_.end_of_interrupt(followup.vector);
      break;
    case Followup::Kind::kSend:
      bus_.deliver(followup.message);
      break;
    case Followup::Kind::kSendToOthers:
      bus_.deliver(followup.message, this);
      break;
  }
}

}  // namespace eidolon::interrupt
