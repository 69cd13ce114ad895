// Commands of the driver on the control queue (virtio 1.2, 5.1.6.5): a class, a command, its data, and a byte
// for the answer.
#include <array>

#include "device/virtio/net.h"
#include "device/virtio/net_features.h"

namespace eidolon::device::virtio {

namespace feature = net_feature;

namespace {

enum Class : uint8_t { kModes, kAddresses, kVlans, kAnnounce, kPairs, kGuestOffloads };
constexpr uint8_t kMoreModes = 2;                   ///< from this mode on
constexpr uint8_t kSetTables = 0, kSetAddress = 1;  ///< of kAddresses
constexpr uint8_t kOk = 0, kError = 1;
constexpr size_t kMostBytes = 64 << 10;
constexpr unsigned kAtOnce = 256;

/// Lower byte first.
uint64_t number(std::span<const uint8_t> bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

void Net::carry_out_commands() {
  const unsigned queue = control_queue();
  Chain chain;
  std::vector<uint8_t> command;
  for (unsigned i = 0; i < kAtOnce; ++i) {
    if (!take(queue, chain) && (!rearm(queue) || !take(queue, chain))) break;
    const size_t bytes = chain.readable_bytes();
    command.resize(std::min(bytes, kMostBytes));
    const bool done = bytes >= 2 && bytes <= kMostBytes && chain.read(dma(), 0, command.data(), bytes) &&
                      carry_out(command);
    const uint8_t answer = done ? kOk : kError;
    const bool written = chain.writable_bytes() != 0 && chain.write(dma(), 0, &answer, 1);
    give_back(queue, chain, written ? 1 : 0);
  }
  signal(queue);
}

bool Net::carry_out(Bytes command) {
  const uint8_t what = command[1];
  const Bytes data = command.subspan(2);
  switch (command[0]) {
    case kModes:
      return negotiated(what < kMoreModes ? feature::kModes : feature::kMoreModes) &&
             filter_.set_mode(what, data);
    case kAddresses:
      if (what == kSetTables) return negotiated(feature::kModes) && filter_.set_tables(data);
      if (what != kSetAddress || !negotiated(feature::kSetAddress) || data.size() != address_.size())
        return false;
      std::ranges::copy(data, address_.begin());
      return true;
    case kVlans:
      return negotiated(feature::kVlans) && filter_.set_vlan(what, data);
    case kAnnounce:
      if (what != 0 || !negotiated(feature::kAnnounce)) return false;
      announcing_ = false;
      return true;
    case kPairs:
      if (what != 0 || !negotiated(feature::kPairs) || data.size() != 2 || number(data) < 1 ||
          number(data) > most_pairs_)
        return false;
      pairs_ = static_cast<unsigned>(number(data));
      link_.wake();  // those that are new may have something
      return true;
    case kGuestOffloads:
      return what == 0 && negotiated(feature::kGuestOffloads) && set_guest_offloads(data);
    default:
      return false;
  }
}

/// No more than what was negotiated.
bool Net::set_guest_offloads(Bytes data) {
  if (data.size() != sizeof guest_offloads_) return false;
  const uint64_t wanted = number(data);
  for (uint64_t left = wanted; left != 0; left &= left - 1)
    if (const uint64_t bit = left & -left; (bit & feature::kGuestTakes) == 0 || !negotiated(bit))
      return false;
  guest_offloads_ = wanted;
  return true;
}

}  // namespace eidolon::device::virtio
