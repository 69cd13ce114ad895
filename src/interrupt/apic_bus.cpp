#include "interrupt/apic_bus.h"

#include <algorithm>

#include "base/assert.h"
#include "interrupt/io_apic.h"
#include "interrupt/local_apic.h"
#include "interrupt/msi.h"

namespace eidolon::interrupt {

void ApicBus::connect(LocalApic& apic) {
  EIDOLON_ASSERT(apic.id() < kIds && by_id_[apic.id()] == nullptr);
  by_id_[apic.id()] = &apic;
  locals_.push_back(&apic);
}

/// Calls `visit` for each local APIC that the message addresses.
template <typename Visit>
void ApicBus::visit(const ApicMessage& message, const LocalApic* except, Visit&& visit) const {
  const auto look_at = [&](LocalApic* apic) {
    if (apic != nullptr && apic != except && apic->addressed_by(message)) visit(*apic);
  };
  const uint32_t destination = message.destination;
  const bool everybody = destination == kBroadcast;
  if (!everybody && !message.logical) {
    if (destination < kIds) look_at(by_id_[destination]);
    return;
  }
  constexpr uint32_t kClusterSize = 16;
  if (!everybody && destination > 0xff) {  // the cluster, and a bit for each member
    const uint64_t first = uint64_t{destination >> 16} * kClusterSize;
    for (uint32_t i = 0; first < kIds && i < kClusterSize; ++i)
      if ((destination >> i & 1) != 0) look_at(by_id_[first + i]);
    return;
  }
  for (LocalApic* apic : locals_) look_at(apic);
}

bool ApicBus::deliver(const ApicMessage& message, const LocalApic* except) const {
  if (except == nullptr)
    if (const auto taken = pass_on(message)) return *taken;
  if (message.mode == DeliveryMode::kLowestPriority) return deliver_lowest_priority(message, except);
  bool taken = false;
  visit(message, except, [&](LocalApic& apic) { taken |= apic.accept(message); });
  return taken;
}

/// Equals take turns by vector, so that not all devices interrupt the same processor.
bool ApicBus::deliver_lowest_priority(const ApicMessage& message, const LocalApic* except) const {
  std::array<LocalApic*, kIds> equals;
  size_t count = 0;
  uint8_t lowest = 0;
  visit(message, except, [&](LocalApic& apic) {
    const std::optional<uint8_t> priority = apic.arbitration_priority();
    if (!priority || (count != 0 && *priority > lowest)) return;
    if (count != 0 && *priority < lowest) count = 0;
    lowest = *priority;
    equals[count++] = &apic;
  });
  return count != 0 && equals[message.vector % count]->accept(message);
}

void ApicBus::end_of_interrupt(uint8_t vector) const {
  for (IoApic* apic : ios_) apic->end_of_interrupt(vector);
}

void ApicBus::route(unsigned pin, const std::optional<ApicMessage>& message) const {
  if (keeper_.load(std::memory_order_acquire) == nullptr) return;
  const std::shared_lock lock(lending_);
  cpu::ApicKeeper* keeper = keeper_.load();
  if (keeper != nullptr) keeper->route(pin, message ? msi_of(*message) : std::nullopt);
}

/// What an MSI cannot say is for the shells, which know their destinations as of when they were lent.
std::optional<bool> ApicBus::pass_on(const ApicMessage& message) const {
  if (keeper_.load(std::memory_order_acquire) == nullptr) return std::nullopt;
  const std::optional<cpu::Msi> msi = msi_of(message);
  if (!msi || message.mode == DeliveryMode::kSmi || message.mode == DeliveryMode::kExtInt)
    return std::nullopt;
  const std::shared_lock lock(lending_);
  cpu::ApicKeeper* keeper = keeper_.load();
  return keeper != nullptr ? std::optional(keeper->deliver(*msi)) : std::nullopt;
}

bool ApicBus::lend(cpu::ApicKeeper& keeper) {
  {
    const std::unique_lock lock(lending_);
    keeper.set_end_of_interrupt([this](uint8_t vector) { end_of_interrupt(vector); });
    for (LocalApic* apic : locals_) {
      if (apic->lend(keeper)) continue;
      take_all_back();
      return false;
    }
    keeper_ = &keeper;
  }
  for (IoApic* apic : ios_) apic->announce_routes();
  return true;
}

void ApicBus::take_back() {
  {
    const std::unique_lock lock(lending_);
    if (keeper_.exchange(nullptr) == nullptr) return;
    take_all_back();
  }
  const auto held = [this](uint8_t vector) {
    return std::ranges::any_of(locals_, [vector](LocalApic* apic) { return apic->holds(vector); });
  };
  for (IoApic* apic : ios_) apic->finish_unless(held);
}

void ApicBus::take_all_back() {
  for (LocalApic* apic : locals_) apic->take_back();
}

}  // namespace eidolon::interrupt
