#include "device/virtio/net_filter.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "device/net/ethernet.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kTag = 0x8100;
constexpr size_t kCountBytes = 4;

/// As drivers write numbers: lower byte first.
uint32_t number(std::span<const uint8_t> bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

/// The bytes of a table at the beginning of `data`, which then begins behind it.
std::optional<std::span<const uint8_t>> take_table(std::span<const uint8_t>& data) {
  if (data.size() < kCountBytes) return std::nullopt;
  const uint64_t bytes = uint64_t{number(data.first(kCountBytes))} * net::kAddressBytes;
  data = data.subspan(kCountBytes);
  if (data.size() < bytes) return std::nullopt;
  const std::span<const uint8_t> table = data.first(bytes);
  data = data.subspan(bytes);
  return table;
}

}  // namespace

void NetFilter::reset(bool with_vlans) {
  *this = {};
  with_vlans_ = with_vlans;
}

bool NetFilter::Table::has(std::span<const uint8_t> frame) const {
  return overflowed || std::ranges::any_of(addresses, [&](const net::MacAddress& address) {
           return std::ranges::equal(address, frame.first(net::kAddressBytes));
         });
}

bool NetFilter::accepts(std::span<const uint8_t> frame, const net::MacAddress& own) const {
  if (frame.size() < net::kHeaderBytes) return false;
  if (with_vlans_ && net::get_16(frame, net::kTypeAt) == kTag && frame.size() >= net::kHeaderBytes + 2) {
    const unsigned vlan = net::get_16(frame, net::kHeaderBytes) % kVlans;
    if (vlan != 0 && !vlans_[vlan]) return false;  // 0: only a priority
  }
  if (!used_ || modes_[kPromiscuous]) return true;
  if (net::is_broadcast(frame)) return !modes_[kNoBroadcast];
  if (net::is_multicast(frame)) return !modes_[kNoGroups] && (modes_[kAllGroups] || groups_.has(frame));
  return !modes_[kNoSingle] && (modes_[kAllSingle] || single_.has(frame) ||
                                std::ranges::equal(own, frame.first(net::kAddressBytes)));
}

bool NetFilter::set_mode(uint8_t command, std::span<const uint8_t> data) {
  if (command >= kModes || data.size() != 1) return false;
  used_ = true;
  modes_[command] = data[0] != 0;
  return true;
}

bool NetFilter::set_tables(std::span<const uint8_t> data) {
  const auto single = take_table(data), groups = single ? take_table(data) : std::nullopt;
  if (!groups || !data.empty()) return false;
  used_ = true;
  const auto fill = [](Table& table, std::span<const uint8_t> bytes) {
    const size_t count = bytes.size() / net::kAddressBytes;
    table.overflowed = count > kMostAddresses;
    table.addresses.resize(table.overflowed ? 0 : count);
    for (size_t i = 0; i < table.addresses.size(); ++i)
      std::memcpy(table.addresses[i].data(), bytes.data() + i * net::kAddressBytes, net::kAddressBytes);
  };
  fill(single_, *single);
  fill(groups_, *groups);
  return true;
}

bool NetFilter::set_vlan(uint8_t command, std::span<const uint8_t> data) {
  if (command > 1 || data.size() != 2 || number(data) >= kVlans) return false;
  vlans_[number(data)] = command == 0;
  return true;
}

void NetFilter::save(StateWriter& to) const {
  to(used_, static_cast<uint8_t>(modes_.to_ulong()), with_vlans_);
  for (const Table* table : {&single_, &groups_}) {
    to(table->overflowed, static_cast<uint8_t>(table->addresses.size()));
    for (const net::MacAddress& address : table->addresses) to(address);
  }
  std::vector<uint8_t> vlans(kVlans / 8);
  for (unsigned i = 0; i < kVlans; ++i)
    if (vlans_[i]) vlans[i / 8] |= static_cast<uint8_t>(1u << i % 8);
  to(vlans);
}

void NetFilter::load(StateReader& from) {
  uint8_t modes = 0;
  from(used_, modes, with_vlans_);
  modes_ = modes;
  for (Table* table : {&single_, &groups_}) {
    uint8_t count = 0;
    from(table->overflowed, count);
    if (count > kMostAddresses) from.fail();
    for (unsigned i = 0; i < count && !from.failed(); ++i) from(table->addresses.emplace_back());
  }
  std::vector<uint8_t> vlans;
  from(vlans);
  if (vlans.size() != kVlans / 8) return from.fail();
  for (unsigned i = 0; i < kVlans; ++i) vlans_[i] = (vlans[i / 8] >> i % 8 & 1) != 0;
}

}  // namespace eidolon::device::virtio
