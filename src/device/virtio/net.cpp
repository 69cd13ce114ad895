#include "device/virtio/net.h"

#include <algorithm>

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 1, kQueueSize = 256;
constexpr uint64_t kFeatureAddress = 1u << 5, kFeatureMergeable = 1u << 15, kFeatureStatus = 1u << 16;
constexpr uint8_t kLinkUp = 1;

/// Before every frame (5.1.6).
struct [[gnu::packed]] Header {
  uint8_t flags = 0;
  uint8_t segmentation = 0;
  uint16_t header_length = 0;
  uint16_t segment_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
  uint16_t buffers = 1;
};
static_assert(sizeof(Header) == 12);

/// A frame must be shorter than the guest's smallest buffers allow: so many are enough.
constexpr size_t kMostBuffers = 64;

}  // namespace

Net::Net(std::string name, net::Link& link, const net::MacAddress& address)
    : Device({.name = std::move(name),
              .type = kType,
              .features = kFeatureAddress | kFeatureMergeable | kFeatureStatus,
              .queue_sizes = {kQueueSize, kQueueSize},
              .class_code = 0x020000}),
      link_(link),
      address_(address) {
  link_.plug(this);
}

Net::~Net() { link_.plug(nullptr); }

void Net::queue_notified(unsigned /*queue*/) { link_.wake(); }
void Net::driver_ready() { link_.wake(); }

bool Net::hold(std::chrono::milliseconds /*patience*/) {
  const Lock held = lock();
  held_ = true;
  return true;
}

void Net::release() {
  {
    const Lock held = lock();
    held_ = false;
    if (running() && restored_) signal_config();
    restored_ = false;
  }
  link_.wake();
}

void Net::save_device(StateWriter& to) const {
  to(static_cast<uint32_t>(filling_.size()));
  for (const Chain& chain : filling_) chain.save(to);
}

void Net::load_device(StateReader& from) {
  restored_ = true;
  uint32_t count = 0;
  from(count);
  if (count > kMostBuffers) from.fail();
  for (uint32_t i = 0; i < count && !from.failed(); ++i) filling_.emplace_back().load(from);
}

std::vector<uint8_t> Net::config() {
  std::vector<uint8_t> bytes(address_.begin(), address_.end());
  bytes.push_back(up_ ? kLinkUp : uint8_t{0});
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

bool Net::next_frame(std::vector<uint8_t>& frame) {
  const Lock held = lock();
  if (held_) return false;
  for (;;) {
    if (!take(kTransmit, sending_) && (!rearm(kTransmit) || !take(kTransmit, sending_))) return false;
    const uint64_t bytes = sending_.readable_bytes();
    const bool sane = bytes > sizeof(Header) && bytes - sizeof(Header) <= net::kLongestFrame;
    frame.resize(sane ? bytes - sizeof(Header) : 0);
    const bool read = sane && sending_.read(dma(), sizeof(Header), frame.data(), frame.size());
    give_back(kTransmit, sending_, 0);
    signal(kTransmit);
    if (read) return true;  // a frame that cannot be one is dropped, as by a wire
  }
}

/// Buffers with room for `bytes`, in filling_; false, and none taken, if there are not enough now.
bool Net::take_receive_buffers(size_t bytes) {
  uint64_t room = 0;
  for (const Chain& chain : filling_) room += chain.writable_bytes();
  while (room < bytes && filling_.size() < kMostBuffers) {
    Chain chain;
    if (!take(kReceive, chain) && (!rearm(kReceive) || !take(kReceive, chain))) return false;
    room += chain.writable_bytes();
    filling_.push_back(std::move(chain));
    if (!negotiated(kFeatureMergeable)) break;
  }
  if (room >= bytes) return true;
  need_reset();  // the driver's buffers are too small for any frame (5.1.6.3.1)
  return false;
}

bool Net::receive(std::span<const uint8_t> frame) {
  const Lock held = lock();
  if (held_) return false;
  if (!running()) {
    filling_.clear();
    return true;  // nobody listens: the frame is lost, as on a wire
  }
  if (!take_receive_buffers(sizeof(Header) + frame.size())) return false;
  const Header header = {.buffers = static_cast<uint16_t>(filling_.size())};
  std::vector<uint8_t> bytes(sizeof header + frame.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::ranges::copy(frame, bytes.begin() + sizeof header);
  size_t at = 0;
  for (const Chain& chain : filling_) {
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(chain.writable_bytes(), bytes.size() - at));
    const bool written = chain.write(dma(), 0, bytes.data() + at, part);
    give_back(kReceive, chain, written ? part : 0);
    at += part;
  }
  filling_.clear();
  signal(kReceive);
  return true;
}

}  // namespace eidolon::device::virtio
