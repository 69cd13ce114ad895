#include "backend/mac_table.h"

namespace eidolon::backend {

namespace {

uint64_t key(std::span<const uint8_t> address) {
  uint64_t result = 0;
  for (const uint8_t byte : address.first(6)) result = result << 8 | byte;
  return result;
}

}  // namespace

void MacTable::learn(std::span<const uint8_t> address, Port port, Time now) {
  if ((address[0] & 1) != 0) return;  // a group sends nothing
  const uint64_t card = key(address);
  if (entries_.size() >= kMost && !entries_.contains(card)) entries_.clear();
  entries_[card] = {.port = port, .heard = now};
}

std::optional<MacTable::Port> MacTable::find(std::span<const uint8_t> address, Time now) const {
  const auto found = entries_.find(key(address));
  if (found == entries_.end() || now - found->second.heard > kForgottenAfter) return std::nullopt;
  return found->second.port;
}

void MacTable::forget(Port port) {
  std::erase_if(entries_, [port](const auto& entry) { return entry.second.port == port; });
}

}  // namespace eidolon::backend
