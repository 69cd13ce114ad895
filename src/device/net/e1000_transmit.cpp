#include "device/net/e1000_transmit.h"

#include <algorithm>

#include "base/bits.h"
#include "device/net/ethernet.h"

namespace eidolon::device::net::e1000 {

namespace {

constexpr unsigned kDescriptorsAtOnce = 256;

// The command byte of all kinds; in a context descriptor the first two say TCP and IPv4.
constexpr uint8_t kEndOfPacket = 1u << 0, kInsertSum = 1u << 2, kReport = 1u << 3, kExtended = 1u << 5,
                  kTagged = 1u << 6;
constexpr uint8_t kSegment = 1u << 2;  ///< of the extended kinds
constexpr uint8_t kIsTcp = 1u << 0, kIsIpv4 = 1u << 1;
// Options of a data descriptor.
constexpr uint8_t kIpSum = 1u << 0, kTransportSum = 1u << 1;

constexpr uint8_t kDone = 1u << 0, kStatusBits = 0x0f;
constexpr uint64_t kStatusAt = 12;
constexpr unsigned kIpv6Header = 40;
constexpr uint8_t kOnlyLastFlags = 0x09;  ///< FIN and PSH

uint8_t command_of(const Descriptor& descriptor) { return static_cast<uint8_t>(descriptor.lower >> 24); }

/// 3.5.2: of what is from `start` to `end` (which is in it; 0: to the end), into the two bytes at `at`.
void insert_sum(std::span<uint8_t> frame, size_t start, size_t end, size_t at) {
  const size_t stop = end == 0 ? frame.size() : std::min(end + 1, frame.size());
  if (start >= stop || at + 2 > frame.size()) return;
  const auto sum = static_cast<uint16_t>(~internet_sum(frame.subspan(start, stop - start)));
  put_16(frame, at, sum == 0 ? 0xffff : sum);  // the same, and not UDP's "no checksum"
}

/// Fields of headers that a hostile context has outside the frame are left alone.
void set_16(std::span<uint8_t> frame, size_t at, size_t value) {
  if (at + 2 <= frame.size()) put_16(frame, at, value);
}

}  // namespace

void Transmitter::reset() {
  sums_ = segments_ = {};
  packet_ = {};
  piece_ = {};
  bytes_.clear();
}

Transmitter::Outcome Transmitter::next(Dma& dma, Ring& ring, std::vector<uint8_t>& frame) {
  for (unsigned i = 0; i < kDescriptorsAtOnce; ++i) {
    if (!piece_.open) {
      Descriptor descriptor;
      if (ring.available() == 0 || !dma.read(ring.head_address(), &descriptor, sizeof descriptor))
        return Outcome::kNothing;
      begin(descriptor);
    }
    gather(dma);
    if (packet_.segmented && !packet_.dropped && packet_.payload_left != 0 && bytes_.size() >= wanted()) {
      make_segment(frame, false);
      if (complete(frame)) return Outcome::kFrame;
      continue;
    }
    const bool last = (piece_.command & kEndOfPacket) != 0;
    finish_piece(dma, ring);
    if (last && finish_packet(frame)) return Outcome::kFrame;
  }
  return Outcome::kMore;
}

void Transmitter::begin(const Descriptor& descriptor) {
  const uint8_t command = command_of(descriptor);
  const bool legacy = (command & kExtended) == 0;
  if (!legacy && bits(descriptor.lower, 23, 20) == 0) return begin_context(descriptor);
  piece_ = {
      .open = true,
      .address = descriptor.address,
      .left = static_cast<uint32_t>(legacy ? bits(descriptor.lower, 15, 0) : bits(descriptor.lower, 19, 0)),
      .command = command};
  if (!packet_.open) begin_packet(descriptor, legacy);
  if (legacy && (command & kInsertSum) != 0) {
    packet_.legacy_sum = true;
    packet_.sum_at = static_cast<uint8_t>(descriptor.lower >> 16);
    packet_.sum_start = static_cast<uint8_t>(descriptor.upper >> 8);
  }
  if ((command & kTagged) != 0) {
    packet_.tagged = true;
    packet_.tag = static_cast<uint16_t>(descriptor.upper >> 16);
  }
}

void Transmitter::begin_context(const Descriptor& descriptor) {
  const uint64_t offsets = descriptor.address;
  const uint8_t command = command_of(descriptor);
  Context& context = (command & kSegment) != 0 ? segments_ : sums_;
  context = {.ip_start = static_cast<uint8_t>(offsets),
             .ip_sum = static_cast<uint8_t>(offsets >> 8),
             .ip_end = static_cast<uint16_t>(offsets >> 16),
             .transport_start = static_cast<uint8_t>(offsets >> 32),
             .transport_sum = static_cast<uint8_t>(offsets >> 40),
             .transport_end = static_cast<uint16_t>(offsets >> 48),
             .command = command,
             .header = static_cast<uint8_t>(descriptor.upper >> 8),
             .segment = static_cast<uint16_t>(descriptor.upper >> 16),
             .payload = static_cast<uint32_t>(bits(descriptor.lower, 19, 0))};
  // It has no bytes, and ends no packet.
  piece_ = {.open = true, .address = 0, .left = 0, .command = static_cast<uint8_t>(command & kReport)};
}

/// Whether a packet is cut, and its options, are said by its first descriptor.
void Transmitter::begin_packet(const Descriptor& descriptor, bool legacy) {
  packet_ = {};
  packet_.open = true;
  bytes_.clear();
  if (legacy) return;
  packet_.segmented = (command_of(descriptor) & kSegment) != 0;
  packet_.context = packet_.segmented ? segments_ : sums_;
  packet_.options = static_cast<uint8_t>(descriptor.upper >> 8);
  if (!packet_.segmented) return;
  const Context& context = packet_.context;
  packet_.payload_left = context.payload;
  packet_.dropped = context.segment == 0 || context.header < kHeaderBytes ||
                    context.header + size_t{context.segment} > kLongestFrame;
  counters_.segmented();
}

/// How long bytes_ are to be before something is done with them.
size_t Transmitter::wanted() const {
  if (!packet_.segmented) return kLongestFrame;
  return packet_.context.header + std::min<size_t>(packet_.context.segment, packet_.payload_left);
}

void Transmitter::gather(Dma& dma) {
  if (packet_.dropped) piece_.left = 0;
  if (piece_.left == 0) return;
  const size_t had = bytes_.size(), room = std::max(wanted(), had) - had;
  const size_t count = std::min<size_t>(piece_.left, room);
  bytes_.resize(had + count);
  const bool read = dma.read(piece_.address, bytes_.data() + had, count);
  piece_.address += count;
  piece_.left -= static_cast<uint32_t>(count);
  // A packet that is not cut has to fit a frame; of one that is, what is beyond its length is not sent.
  if (!read || (!packet_.segmented && piece_.left != 0)) packet_.dropped = true;
  if (packet_.dropped || packet_.payload_left == 0) piece_.left = 0;
}

void Transmitter::finish_piece(Dma& dma, Ring& ring) {
  uint32_t causes = 0;
  if ((piece_.command & kReport) != 0) {
    // SAFETY: a byte of guest RAM that Dma has checked, which stays mapped as long as the machine.
    const GuestPhysical at = ring.head_address() + kStatusAt;
    if (const std::span<uint8_t> status = dma.writable(at, 1); !status.empty()) {
      const auto value = static_cast<uint8_t>((status[0] & ~kStatusBits) | kDone);
      __atomic_store_n(status.data(), value, __ATOMIC_RELEASE);
      dma.written(at, 1);
    }
    causes |= kTransmitDone;
  }
  ring.advance();
  piece_ = {};
  const uint32_t left = ring.available(), low = (bank_.get<kTxdctl>() >> 25) * 8;
  if (left == 0) causes |= kTransmitEmpty;
  if (low != 0 && left == low) causes |= kTransmitLow;
  if (causes != 0) interrupts_.raise(causes);
}

bool Transmitter::finish_packet(std::vector<uint8_t>& frame) {
  packet_.open = false;
  if (packet_.dropped) return false;
  if (packet_.segmented) {
    if (bytes_.empty() || (packet_.any_sent && bytes_.size() <= packet_.context.header)) return false;
    make_segment(frame, true);
  } else {
    frame = bytes_;
    const Context& context = packet_.context;
    if (packet_.legacy_sum) insert_sum(frame, packet_.sum_start, 0, packet_.sum_at);
    if ((packet_.options & kTransportSum) != 0)
      insert_sum(frame, context.transport_start, context.transport_end, context.transport_sum);
    if ((packet_.options & kIpSum) != 0) insert_sum(frame, context.ip_start, context.ip_end, context.ip_sum);
  }
  return complete(frame);
}

/// The next segment is in bytes_, behind the header; the header stays there, for the one after it.
void Transmitter::make_segment(std::vector<uint8_t>& frame, bool last) {
  const Context& context = packet_.context;
  const size_t header = std::min<size_t>(context.header, bytes_.size());
  const size_t payload = bytes_.size() - header;
  packet_.payload_left -= static_cast<uint32_t>(std::min<size_t>(payload, packet_.payload_left));
  packet_.any_sent = true;
  frame = bytes_;
  fix_segment(frame, last || packet_.payload_left == 0);
  bytes_.resize(header);
  const size_t identification = context.ip_start + 4u, sequence = context.transport_start + 4u;
  if ((context.command & kIsIpv4) != 0 && identification + 2 <= header)
    put_16(bytes_, identification, get_16(bytes_, identification) + 1u);
  if ((context.command & kIsTcp) != 0 && sequence + 4 <= header)
    put_32(bytes_, sequence, get_32(bytes_, sequence) + payload);
}

/// Lengths, flags and checksums of a segment (3.5.9).
void Transmitter::fix_segment(std::vector<uint8_t>& frame, bool last) {
  const Context& context = packet_.context;
  const size_t ip = context.ip_start, transport = context.transport_start, size = frame.size();
  if ((context.command & kIsIpv4) != 0) {
    set_16(frame, ip + 2, size - std::min(size, ip));
  } else {
    set_16(frame, ip + 4, size - std::min(size, ip + kIpv6Header));
  }
  const size_t length = size - std::min(size, transport);
  if ((context.command & kIsTcp) == 0) {
    set_16(frame, transport + 4, length);
  } else if (!last && transport + 13 < size) {
    frame[transport + 13] &= static_cast<uint8_t>(~kOnlyLastFlags);
  }
  if ((packet_.options & kTransportSum) != 0) {
    // The driver has put the sum of the pseudo header there, without the length.
    const size_t at = context.transport_sum;
    if (at + 2 <= size) {
      size_t sum = get_16(frame, at) + length;
      sum = (sum & 0xffff) + (sum >> 16);
      put_16(frame, at, sum);
    }
    insert_sum(frame, transport, context.transport_end, at);
  }
  if ((packet_.options & kIpSum) != 0) insert_sum(frame, ip, context.ip_end, context.ip_sum);
}

/// What is done to all frames. False: it cannot be one, and is not sent.
bool Transmitter::complete(std::vector<uint8_t>& frame) {
  if (frame.size() < kHeaderBytes) return false;
  if (packet_.tagged && bank_.has<kCtrl>(kCtrlVlanMode)) {
    std::array<uint8_t, kTagBytes> tag;
    put_16(tag, 0, bank_.get<kVet>());
    put_16(tag, 2, packet_.tag);
    frame.insert(frame.begin() + kTypeAt, tag.begin(), tag.end());
  }
  if (frame.size() > kLongestFrame) return false;
  if (bank_.has<kTctl>(kTctlPad) && frame.size() < kShortestFrame) frame.resize(kShortestFrame);
  counters_.sent(frame);
  return true;
}

template <typename Self, typename Stream>
void Transmitter::fields(Self& self, Stream& stream) {
  const auto context = [&stream](auto& of) {
    stream(of.ip_start, of.ip_sum, of.ip_end, of.transport_start, of.transport_sum, of.transport_end,
           of.command, of.header, of.segment, of.payload);
  };
  context(self.sums_);
  context(self.segments_);
  auto& packet = self.packet_;
  stream(packet.open, packet.dropped, packet.segmented, packet.any_sent, packet.options, packet.legacy_sum,
         packet.sum_start, packet.sum_at, packet.tagged, packet.tag, packet.payload_left);
  context(packet.context);
  stream(self.piece_.open, self.piece_.address, self.piece_.left, self.piece_.command, self.bytes_);
}

void Transmitter::save(StateWriter& to) const { fields(*this, to); }

void Transmitter::load(StateReader& from) {
  fields(*this, from);
  const Context& context = packet_.context;
  const bool fits = context.header + size_t{context.segment} <= kLongestFrame;
  if (bytes_.size() > kLongestFrame || (packet_.segmented && !packet_.dropped && !fits)) from.fail();
  if (from.failed()) reset();
}

}  // namespace eidolon::device::net::e1000
