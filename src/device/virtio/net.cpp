#include "device/virtio/net.h"

#include <algorithm>

#include "base/assert.h"
#include "device/virtio/net_features.h"

namespace eidolon::device::virtio {

namespace feature = net_feature;

namespace {

constexpr uint16_t kType = 1, kQueueSize = 256, kControlSize = 64;
constexpr uint8_t kLinkUp = 1, kAnnounceNow = 2;

/// Before every frame (5.1.6): what is left to do, and how many buffers the frame is in.
constexpr size_t kLongestHeader = net::kOffloadBytes + 2;

/// Of those that can be had of a guest with the lock held, without an end.
constexpr unsigned kDroppedAtOnce = 256;

std::vector<uint16_t> queue_sizes(unsigned pairs) {
  std::vector<uint16_t> sizes(size_t{2} * pairs, kQueueSize);
  sizes.push_back(kControlSize);
  return sizes;
}

/// The same for both directions of a connection.
uint8_t flow_of(std::span<const uint8_t> frame) {
  constexpr uint32_t kSpread = 0x9e3779b1, kOtherSpread = 0x85ebca6b;  // odd, and not alike
  const auto packet = net::find_transport(frame);
  if (!packet) return 0;
  const bool is_v6 = packet->ip_header == 0;
  uint32_t addresses = 0, ports = 0;
  for (size_t at = is_v6 ? 8 : 12; at < (is_v6 ? 40 : 20); at += 4)
    addresses ^= net::get_32(frame, packet->ip_at + at);
  if ((packet->protocol == net::kTcp || packet->protocol == net::kUdp) && packet->end >= packet->at + 4)
    ports = static_cast<uint32_t>(net::get_16(frame, packet->at) ^ net::get_16(frame, packet->at + 2));
  return static_cast<uint8_t>((addresses * kSpread + ports * kOtherSpread + packet->protocol) * kSpread >>
                              24);
}

}  // namespace

Net::Net(std::string name, net::Link& link, const net::MacAddress& address, unsigned pairs)
    : Device({.name = std::move(name),
              .type = kType,
              .features = feature::kAll | (pairs > 1 ? feature::kPairs : 0),
              .queue_sizes = queue_sizes(pairs),
              .class_code = 0x020000}),
      link_(link),
      first_address_(address),
      most_pairs_(pairs),
      address_(address) {
  EIDOLON_ASSERT(pairs >= 1 && pairs <= kMostPairs);
  link_.plug(this);
}

Net::~Net() { link_.plug(nullptr); }

unsigned Net::control_queue() const { return negotiated(feature::kPairs) ? 2 * most_pairs_ : 2; }

void Net::queue_notified(unsigned queue) {
  if (negotiated(feature::kControl) && queue == control_queue()) return carry_out_commands();
  link_.wake();
}

void Net::driver_ready() {
  if (!restored_) {
    filter_.reset(negotiated(feature::kVlans));
    for (const uint64_t bit :
         {feature::kGuestSum, feature::kGuestTcp4, feature::kGuestTcp6, feature::kGuestCongestion})
      if (negotiated(bit)) guest_offloads_ |= bit;
  }
  link_.wake();
}

void Net::reset_device() {
  address_ = first_address_;
  filter_.reset(false);
  pairs_ = 1;
  next_pair_ = 0;
  guest_offloads_ = 0;
  announcing_ = restored_ = false;
  segments_.clear();
  for (std::vector<Chain>& chains : filling_) chains.clear();
}

bool Net::hold(std::chrono::milliseconds /*patience*/) {
  const Lock held = lock();
  held_ = true;
  return true;
}

void Net::release() {
  {
    const Lock held = lock();
    held_ = false;
    if (running() && restored_) {
      // Its frames may come in elsewhere now: switches learn where from what it sends (5.1.6.5.4).
      announcing_ = negotiated(feature::kAnnounce) && negotiated(feature::kStatus);
      signal_config();
    }
    restored_ = false;
  }
  link_.wake();
}

void Net::save_device(StateWriter& to) const {
  to(address_, pairs_, guest_offloads_, announcing_);
  filter_.save(to);
  for (const std::vector<Chain>& chains : filling_) {
    to(static_cast<uint32_t>(chains.size()));
    for (const Chain& chain : chains) chain.save(to);
  }
}

void Net::load_device(StateReader& from) {
  restored_ = true;
  from(address_, pairs_, guest_offloads_, announcing_);
  filter_.load(from);
  if (pairs_ < 1 || pairs_ > most_pairs_) from.fail();
  for (std::vector<Chain>& chains : filling_) {
    uint32_t count = 0;
    from(count);
    if (count > kQueueSize) from.fail();
    for (uint32_t i = 0; i < count && !from.failed(); ++i) chains.emplace_back().load(from);
  }
}

std::vector<uint8_t> Net::config() {
  std::vector<uint8_t> bytes(address_.begin(), address_.end());
  bytes.push_back(static_cast<uint8_t>((up_ ? kLinkUp : 0) | (announcing_ ? kAnnounceNow : 0)));
  bytes.push_back(0);
  bytes.push_back(static_cast<uint8_t>(most_pairs_));
  bytes.push_back(0);
  return bytes;
}

void Net::set_link(bool up) {
  {
    const Lock held = lock();
    if (up_ == up) return;
    up_ = up;
    if (running()) signal_config();
  }
  if (up) link_.wake();
}

// What the guest sends

bool Net::next_large(std::vector<uint8_t>& frame, net::Offload& offload) {
  const Lock held = lock();
  return !held_ && send(frame, offload);
}

bool Net::next_frame(std::vector<uint8_t>& frame) {
  const Lock held = lock();
  if (held_) return false;
  for (;;) {
    if (segments_.next(frame)) return true;
    net::Offload offload;
    if (!send(unfinished_, offload)) return false;
    if (!offload.finished()) {
      (void)segments_.begin(unfinished_, offload);
      continue;
    }
    frame.swap(unfinished_);
    return true;
  }
}

/// From one pair after the other.
bool Net::send(std::vector<uint8_t>& frame, net::Offload& offload) {
  unsigned empty = 0, dropped = 0;
  while (empty < pairs_) {
    const unsigned pair = next_pair_ % pairs_, queue = transmit_queue(pair);
    next_pair_ = (pair + 1) % pairs_;
    if (!take(queue, sending_) && (!rearm(queue) || !take(queue, sending_))) {
      ++empty;
      continue;
    }
    empty = 0;
    const bool right = read_frame(frame, offload);
    give_back(queue, sending_, 0);
    signal(queue);
    if (right) {
      if (pairs_ > 1) pair_of_flow_[flow_of(frame)] = static_cast<uint8_t>(pair);
      return true;
    }
    // What cannot be a frame is dropped, as by a wire.
    if (++dropped == kDroppedAtOnce) {
      link_.wake();
      return false;
    }
  }
  return false;
}

/// Legacy drivers leave out the number of buffers where there is only ever one (5.1.6.1).
size_t Net::header_bytes() const {
  return negotiated(kFeatureVersion1 | feature::kMergeable) ? kLongestHeader : net::kOffloadBytes;
}

bool Net::read_frame(std::vector<uint8_t>& frame, net::Offload& offload) {
  net::OffloadBytes header;
  const size_t before = header_bytes();
  const uint64_t bytes = sending_.readable_bytes();
  if (bytes <= before || bytes - before > net::kLongestLarge ||
      !sending_.read(dma(), 0, header.data(), header.size()))
    return false;
  offload = {};
  if (negotiated(feature::kSum)) {
    const auto wanted = net::decode(header);
    if (!wanted) return false;
    offload = *wanted;
    offload.sum_valid = false;  // not the guest's to say
  }
  const bool may_cut = offload.cut == net::Cut::kNone ||
                       negotiated(offload.cut == net::Cut::kTcp4 ? feature::kTcp4 : feature::kTcp6);
  frame.resize(bytes - before);
  if (!may_cut || !sending_.read(dma(), before, frame.data(), frame.size())) return false;
  return check(frame, offload) && (!offload.finished() || frame.size() <= net::kLongestFrame);
}

// What it receives

bool Net::takes(const net::Offload& offload) {
  const Lock held = lock();
  return takes_now(offload);
}

bool Net::takes_now(const net::Offload& offload) const {
  uint64_t wanted = offload.sum_missing ? feature::kGuestSum : 0;
  if (offload.cut == net::Cut::kTcp4) wanted |= feature::kGuestTcp4;
  if (offload.cut == net::Cut::kTcp6) wanted |= feature::kGuestTcp6;
  if (offload.congestion) wanted |= feature::kGuestCongestion;
  return (wanted & ~guest_offloads_) == 0;
}

/// Whether filling_ has room for `bytes` now.
Net::Room Net::find_room(unsigned pair, size_t bytes) {
  std::vector<Chain>& chains = filling_[pair];
  const unsigned queue = receive_queue(pair);
  const size_t most = negotiated(feature::kMergeable) ? kQueueSize : 1;
  uint64_t room = 0;
  for (const Chain& chain : chains) room += chain.writable_bytes();
  while (room < bytes && chains.size() < most) {
    Chain chain;
    if (!take(queue, chain) && (!rearm(queue) || !take(queue, chain))) return Room::kLater;
    room += chain.writable_bytes();
    chains.push_back(std::move(chain));
  }
  return room >= bytes ? Room::kEnough : Room::kNever;
}

bool Net::receive_large(Bytes frame, const net::Offload& offload) {
  const Lock held = lock();
  if (held_) return false;
  if (!running()) return true;  // nobody listens: the frame is lost, as on a wire
  if (!takes_now(offload) || (offload.finished() && frame.size() > net::kLongestFrame)) return true;
  if (!filter_.accepts(frame, address_)) return true;
  const unsigned pair = pairs_ > 1 ? pair_of_flow_[flow_of(frame)] % pairs_ : 0;
  switch (find_room(pair, header_bytes() + frame.size())) {
    case Room::kLater:
      return !running();  // a ring that is broken has none any more
    case Room::kNever:
      // A driver whose buffers are too small for any frame (5.1.6.3.1) cannot go on; one that has many small
      // ones may not have enough for a large frame.
      if (!negotiated(feature::kMergeable)) need_reset();
      return true;
    case Room::kEnough:
      break;
  }
  write_frame(pair, frame, offload);
  return true;
}

/// The driver is shown all of it at once (5.1.6.4): of a part it would make a frame that is too short.
void Net::write_frame(unsigned pair, Bytes frame, const net::Offload& offload) {
  std::vector<Chain>& chains = filling_[pair];
  const unsigned queue = receive_queue(pair);
  const auto packet = offload.cut == net::Cut::kNone ? std::nullopt : find_tcp(frame, offload);
  net::Offload told = offload;
  told.sum_valid = offload.sum_valid && (guest_offloads_ & feature::kGuestSum) != 0;
  const net::OffloadBytes left = encode(told, packet ? packet->payload : 0);
  std::array<uint8_t, kLongestHeader> header{};
  std::ranges::copy(left, header.begin());

  const size_t before = header_bytes();
  size_t used = 0;
  for (uint64_t room = 0; room < before + frame.size(); ++used) room += chains[used].writable_bytes();
  header[net::kOffloadBytes] = static_cast<uint8_t>(used);
  header[net::kOffloadBytes + 1] = static_cast<uint8_t>(used >> 8);

  size_t done = 0;  // of header and frame
  for (size_t i = 0; i < used; ++i) {
    const Chain& chain = chains[i];
    const size_t part = std::min<uint64_t>(chain.writable_bytes(), before + frame.size() - done);
    const size_t of_header = done < before ? std::min(before - done, part) : 0;
    const size_t of_frame = part - of_header, at = std::max(done, before) - before;
    const bool written = (of_header == 0 || chain.write(dma(), 0, header.data() + done, of_header)) &&
                         (of_frame == 0 || chain.write(dma(), of_header, frame.data() + at, of_frame));
    fill(queue, chain, written ? static_cast<uint32_t>(part) : 0);
    done += part;
  }
  publish(queue);
  chains.erase(chains.begin(), chains.begin() + static_cast<ptrdiff_t>(used));
  signal(queue);
}

}  // namespace eidolon::device::virtio
