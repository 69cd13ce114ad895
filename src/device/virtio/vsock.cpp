#include "device/virtio/vsock.h"

#include <algorithm>

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 19, kQueueSize = 256, kEventQueueSize = 16;
constexpr uint64_t kFeatureStream = 1u << 0;
constexpr uint32_t kTransportReset = 0;  ///< an event (5.10.6.7)

}  // namespace

Vsock::Vsock(std::string name, VsockWire& wire, uint32_t cid)
    : Device({.name = std::move(name),
              .type = kType,
              .features = kFeatureStream,
              .queue_sizes = {kQueueSize, kQueueSize, kEventQueueSize},
              .class_code = 0x078000}),
      wire_(wire),
      cid_(cid) {
  wire_.plug(this);
}

Vsock::~Vsock() { wire_.plug(nullptr); }

std::vector<uint8_t> Vsock::config() {
  std::vector<uint8_t> bytes(sizeof cid_);
  std::memcpy(bytes.data(), &cid_, sizeof cid_);
  return bytes;
}

void Vsock::reset_device() {
  ++life_;
  owes_event_ = false;
  wire_.wake();
}

/// The host's ends of all streams are gone.
void Vsock::load_device(StateReader& /*from*/) { owes_event_ = true; }

bool Vsock::hold(std::chrono::milliseconds /*patience*/) {
  const Lock held = lock();
  held_ = true;
  return true;
}

void Vsock::release() {
  const Lock held = lock();
  held_ = false;
  tell_of_reset();
  wire_.wake();
}

void Vsock::driver_ready() {
  tell_of_reset();
  wire_.wake();
}

void Vsock::queue_notified(unsigned queue) {
  if (queue == kEvents) return tell_of_reset();
  wire_.wake();
}

bool Vsock::next(unsigned queue, Chain& chain) {
  return take(queue, chain) || (rearm(queue) && take(queue, chain));
}

void Vsock::tell_of_reset() {
  Chain chain;
  if (!owes_event_ || held_ || !running() || !next(kEvents, chain)) return;
  owes_event_ = false;
  const bool written = chain.write(dma(), 0, &kTransportReset, sizeof kTransportReset);
  give_back(kEvents, chain, written ? sizeof kTransportReset : 0);
  signal(kEvents);
}

uint64_t Vsock::life() {
  const Lock held = lock();
  return life_;
}

void Vsock::read_packet(const Chain& chain, VsockPacket& packet) {
  VsockHeader& header = packet.header;
  packet.life = life_;
  packet.payload.clear();
  if (!chain.read(dma(), 0, &header, sizeof header) || header.source_cid != cid_) {
    header = {};
    return;
  }
  const uint32_t length = header.operation == VsockOperation::kData ? header.length : 0;
  packet.payload.resize(std::min(length, kMostPayload));
  if (length > kMostPayload || !chain.read(dma(), sizeof header, packet.payload.data(), length)) {
    header.operation = VsockOperation::kInvalid;
    packet.payload.clear();
  }
}

bool Vsock::next_packet(VsockPacket& packet) {
  const Lock held = lock();
  Chain chain;
  if (held_ || !next(kTransmit, chain)) return false;
  read_packet(chain, packet);
  give_back(kTransmit, chain, 0);
  signal(kTransmit);
  return true;
}

std::optional<size_t> Vsock::receive(uint64_t life, const VsockHeader& header,
                                     std::span<const uint8_t> payload) {
  const Lock held = lock();
  if (life != life_) return payload.size();
  if (held_) return std::nullopt;
  size_t done = 0;
  bool any = false;
  for (Chain chain; (!any || done < payload.size()) && next(kReceive, chain); any = true) {
    const uint64_t room = chain.writable_bytes();
    if (room < sizeof header || (room == sizeof header && !payload.empty())) {
      need_reset();  // no packet fits into what the driver gives
      break;
    }
    VsockHeader own = header;
    own.length = static_cast<uint32_t>(std::min<uint64_t>(room - sizeof own, payload.size() - done));
    const bool written = chain.write(dma(), 0, &own, sizeof own) &&
                         chain.write(dma(), sizeof own, payload.data() + done, own.length);
    give_back(kReceive, chain, written ? static_cast<uint32_t>(sizeof own) + own.length : 0);
    done += own.length;
  }
  if (!any) return std::nullopt;
  signal(kReceive);
  return done;
}

}  // namespace eidolon::device::virtio
