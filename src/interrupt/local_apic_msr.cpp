// IA32_APIC_BASE, IA32_TSC_DEADLINE, and the x2APIC registers (SDM volume 3, 11.4.4 and 11.12).
#include "base/bits.h"
#include "base/try.h"
#include "interrupt/local_apic.h"
#include "interrupt/local_apic_registers.h"
#include "x86/msr.h"

namespace eidolon::interrupt {

namespace {

/// Bits that a 32-bit x2APIC register lets software write; a set bit outside raises #GP. 0: not writable.
constexpr uint32_t x2_writable(unsigned index) {
  switch (index) {
    case kApicTpr:
      return 0xff;
    case kApicSpurious:
      return kSpuriousWritable;
    case kApicLvtTimer:
      return 0x000700ff;
    case kApicLvtTimer + 1:
    case kApicLvtTimer + 2:
      return 0x000117ff;
    case kApicLvtTimer + 3:
    case kApicLvtTimer + 4:
      return 0x0001f7ff;
    case kApicLvtError:
      return 0x000110ff;
    case kApicInitialCount:
      return 0xffffffff;
    case kApicDivide:
      return 0xb;
    default:
      return 0;
  }
}

constexpr bool x2_readable(unsigned index) {
  const bool vectors = index >= kApicIsr && index <= kApicEsr;
  const bool lvt = index >= kApicLvtTimer && index <= kApicCurrentCount;
  switch (index) {
    case kApicId:
    case kApicVersion:
    case kApicTpr:
    case kApicPpr:
    case kApicLdr:
    case kApicSpurious:
    case kApicIcrLow:
    case kApicDivide:
      return true;
    default:
      return vectors || lvt;
  }
}

}  // namespace

cpu::Outcome<uint64_t> LocalApic::read_msr(uint32_t msr) {
  std::lock_guard lock(mutex_);
  if (keeper_ != nullptr) {
    uint64_t value = 0;
    if (!keeper_->read_msr(id_, msr, value)) return cpu::raise_gp();
    return value;
  }
  if (msr == x86::kMsrApicBase) return base_;
  if (msr == x86::kMsrTscDeadline) return timer_.deadline();
  if (msr < x86::kMsrX2ApicFirst || msr > x86::kMsrX2ApicLast) return cpu::raise_gp();
  return read_x2(msr - x86::kMsrX2ApicFirst);
}

cpu::Outcome<> LocalApic::write_msr(uint32_t msr, uint64_t value) {
  {
    std::lock_guard lock(mutex_);
    if (keeper_ != nullptr && !keeper_->write_msr(id_, msr, value)) return cpu::raise_gp();
    if (keeper_ != nullptr) return {};
  }
  if (msr == x86::kMsrApicBase) return write_base(value);
  if (msr == x86::kMsrTscDeadline) {
    std::lock_guard lock(mutex_);
    if (timer_.write_deadline(value)) local_interrupt(kLvtTimer);
    return {};
  }
  if (msr < x86::kMsrX2ApicFirst || msr > x86::kMsrX2ApicLast) return cpu::raise_gp();
  return write_x2(msr - x86::kMsrX2ApicFirst, value);
}

cpu::Outcome<> LocalApic::write_base(uint64_t value) {
  uint64_t address = 0;
  {
    std::lock_guard lock(mutex_);
    constexpr uint64_t kModes = x86::kApicBaseEnable | x86::kApicBaseX2Apic;
    constexpr uint64_t kReserved = 0x2ff | ~mask_below(52);
    const uint64_t from = base_ & kModes;
    const uint64_t to = value & kModes;
    if ((value & kReserved) != 0 || to == x86::kApicBaseX2Apic) return cpu::raise_gp();
    // Figure 11-27: into x2APIC only from xAPIC, and out of it only by disabling.
    if (from == 0 && to == kModes) return cpu::raise_gp();
    if (from == kModes && to == x86::kApicBaseEnable) return cpu::raise_gp();
    address = value & mask_below(52) & ~uint64_t{0xfff};
    const bool moved = address != (base_ & ~uint64_t{0xfff}) || (from != 0) != (to != 0);
    base_ = value;
    if (from != 0 && to == 0) reset_registers();  // disabled: as after a reset
    publish_address();
    wake();
    if (!moved) return {};
    if (to == 0) address = 0;
  }
  if (base_observer_) base_observer_(address);
  return {};
}

cpu::Outcome<uint64_t> LocalApic::read_x2(unsigned index) {
  if (!x2() || !x2_readable(index)) return cpu::raise_gp();
  if (index == kApicIcrLow) return command_;
  return read_register(index);
}

cpu::Outcome<> LocalApic::write_x2(unsigned index, uint64_t value) {
  Followup followup;
  {
    std::lock_guard lock(mutex_);
    if (!x2()) return cpu::raise_gp();
    switch (index) {
      case kApicEoi:
      case kApicEsr:
        if (value != 0) return cpu::raise_gp();
        followup = write_register(index, 0);
        break;
      case kApicIcrLow:
        if ((value & 0xffffffff & ~uint64_t{kIcrWritable}) != 0) return cpu::raise_gp();
        command_ = value;
        followup = send(static_cast<uint32_t>(value));
        break;
      case kApicSelfIpi:
        if (value > 0xff) return cpu::raise_gp();
        if (value < 16) {
          set_error(kErrorSendIllegal);
        } else if (enabled()) {
          make_pending(static_cast<uint8_t>(value), false);
        }
        break;
      default: {
        const uint32_t writable = x2_writable(index);
        if (writable == 0 || (value & ~uint64_t{writable}) != 0) return cpu::raise_gp();
        followup = write_register(index, static_cast<uint32_t>(value));
      }
    }
  }
  carry_out(followup);
  return {};
}

}  // namespace eidolon::interrupt
