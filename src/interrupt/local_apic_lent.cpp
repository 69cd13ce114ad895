// The local APIC while somebody else keeps it, and its way there and back (cpu/apic_keeper.h).
#include "base/bits.h"
#include "interrupt/local_apic.h"
#include "interrupt/local_apic_registers.h"
#include "interrupt/msi.h"

namespace eidolon::interrupt {

cpu::ApicImage LocalApic::image() {
  cpu::ApicImage image{.base = base_, .registers = {}, .deadline = timer_.deadline()};
  auto& registers = image.registers;
  for (unsigned index = 0; index < registers.size(); ++index) registers[index] = read_register(index);
  registers[kApicId] = id_ << 24;
  registers[kApicLvtCmci] = kLvtMasked;  // we have none
  return image;
}

void LocalApic::take(const cpu::ApicImage& image) {
  const auto& registers = image.registers;
  base_ = image.base;
  priority_->task = static_cast<uint8_t>(registers[kApicTpr]);
  if (!x2()) logical_ = registers[kApicLdr] & 0xff000000;
  format_ = registers[kApicDfr] | 0x0fffffff;
  spurious_ = registers[kApicSpurious] & kSpuriousWritable;
  for (unsigned i = 0; i < service_.words.size(); ++i) {
    service_.words[i] = registers[kApicIsr + i];
    trigger_.words[i] = registers[kApicTmr + i];
    request_.words[i] = registers[kApicIrr + i];
  }
  error_status_ = registers[kApicEsr];
  command_ = uint64_t{registers[kApicIcrHigh]} << 32 | (registers[kApicIcrLow] & kIcrWritable);
  for (unsigned which = 0; which < kLvtCount; ++which) lvt_[which] = registers[kApicLvtTimer + which];
  timer_.go_on({.mode = static_cast<ApicTimer::Mode>(bits(lvt_[kLvtTimer], 18, 17)),
                .masked = (lvt_[kLvtTimer] & kLvtMasked) != 0,
                .initial = registers[kApicInitialCount],
                .current = registers[kApicCurrentCount],
                .divide = registers[kApicDivide],
                .deadline = image.deadline});
  publish_address();
}

bool LocalApic::lend(cpu::ApicKeeper& keeper) {
  std::lock_guard lock(mutex_);
  if (!keeper.put(id_, image(), *this)) return false;
  keeper_ = &keeper;
  request_ = {};
  publish_waiting();
  timer_.reset();
  return true;
}

void LocalApic::take_back() {
  uint64_t page = 0;
  {
    std::lock_guard lock(mutex_);
    if (keeper_ == nullptr) return;
    cpu::ApicImage image;
    if (keeper_->get(id_, image)) take(image);
    keeper_ = nullptr;
    if (globally_enabled()) page = base_ & ~uint64_t{0xfff};
    wake();
  }
  if (base_observer_) base_observer_(page);
}

bool LocalApic::holds(uint8_t vector) const {
  std::lock_guard lock(mutex_);
  return request_.test(vector) || service_.test(vector);
}

/// As a message to this one alone.
bool LocalApic::pass_on(const ApicMessage& message) {
  if (message.mode == DeliveryMode::kSmi) return true;
  if (message.mode == DeliveryMode::kExtInt) {
    ext_int_ = true;
    raise(cpu::kEventInterrupt);
    return true;
  }
  ApicMessage mine = message;
  mine.destination = id_;
  mine.logical = false;
  const auto msi = msi_of(mine);
  return msi && keeper_->deliver(*msi);
}

bool LocalApic::external_pending() {
  std::lock_guard lock(mutex_);
  return pic_ != nullptr && (lint_[0] || ext_int_);
}

std::optional<uint8_t> LocalApic::acknowledge_external() {
  {
    std::lock_guard lock(mutex_);
    if (pic_ == nullptr || (!lint_[0] && !ext_int_)) return std::nullopt;
    ext_int_ = false;
  }
  return pic_->acknowledge();  // without our lock: it comes back to us through set_lint
}

uint32_t LocalApic::read_lent(unsigned index) {
  cpu::ApicImage image;
  if (index >= image.registers.size() || !keeper_->get(id_, image)) return 0;
  base_ = image.base;
  return image.registers[index];
}

/// An instruction that the keeper could not do itself, which no kernel writes. What another processor sends
/// here meanwhile, without asking us, may be lost.
LocalApic::Followup LocalApic::write_lent(unsigned index, uint32_t value) {
  cpu::ApicImage now;
  if (!keeper_->get(id_, now)) return {};
  take(now);
  const bool on = globally_enabled() && !x2();
  const Followup followup = on ? write_register(index, value) : Followup{};
  if (on) put_again();
  request_ = {};
  publish_waiting();
  timer_.reset();
  return followup;
}

/// It was changed here while it is lent.
void LocalApic::put_again() {
  if (keeper_ != nullptr) (void)keeper_->put(id_, image(), *this);
}

}  // namespace eidolon::interrupt
