// An e1000 on the bus of the PCI tests, a cable that the test holds, and what a driver does with the card.
#pragma once

#include <optional>

#include "device/net/e1000.h"
#include "device/net/ethernet.h"
#include "net/fake_link.h"
#include "pci/fixture.h"

namespace eidolon::device::net {

using Frame = std::vector<uint8_t>;

class E1000Test : public pci::PciTest {
 protected:
  static constexpr unsigned kSlot = 5, kPin = 16 + (kSlot & 3);
  static constexpr GuestPhysical kReceive = 0x10000, kTransmit = 0x11000, kBuffers = 0x20000, kData = 0x40000;
  static constexpr uint32_t kEntries = 8;

  // Registers.
  static constexpr uint32_t kCtrl = 0, kStatus = 8, kEecd = 0x10, kEerd = 0x14, kMdic = 0x20, kVet = 0x38,
                            kIcr = 0xc0, kItr = 0xc4, kIcs = 0xc8, kIms = 0xd0, kImc = 0xd8, kRctl = 0x100,
                            kTctl = 0x400, kRdbal = 0x2800, kTdbal = 0x3800, kRxcsum = 0x5000, kMta = 0x5200,
                            kRal = 0x5400, kVfta = 0x5600;
  static constexpr uint32_t kLength = 8, kHead = 0x10, kTail = 0x18;     ///< of a ring
  static constexpr uint32_t kReceiveOn = 1u << 1 | 1u << 15 | 1u << 26;  ///< broadcasts, no checksum behind
  static constexpr uint32_t kTransmitOn = 1u << 1 | 1u << 3;

  // Commands of descriptors.
  static constexpr uint32_t kEop = 1u << 24, kSum = 1u << 26, kSegment = 1u << 26, kReport = 1u << 27,
                            kExtended = 1u << 29, kData20 = kExtended | 1u << 20, kTag = 1u << 30;

  E1000Test() {
    root.add(kSlot, 0, card);
    EXPECT_TRUE(pci::place(root, bridge, lpc, kWindows));
    write(kSlot, pci::kCommand, 2, 7);
    bar = read(kSlot, 0x10) & ~15u;
    port = read(kSlot, 0x14) & ~3u;
  }

  uint32_t get(uint32_t offset) { return static_cast<uint32_t>(mmio.read(bar + offset, 4)); }
  void set(uint32_t offset, uint32_t value) { mmio.write(bar + offset, 4, value); }
  uint16_t phy(unsigned index) {
    set(kMdic, 2u << 26 | 1u << 21 | index << 16);
    return static_cast<uint16_t>(get(kMdic));
  }
  void set_phy(unsigned index, uint16_t value) { set(kMdic, 1u << 26 | 1u << 21 | index << 16 | value); }

  Frame bytes_at(GuestPhysical at, size_t count) {
    Frame bytes(count);
    EXPECT_TRUE(memory->read(at, bytes.data(), count));
    return bytes;
  }

  // Sending.
  void start_transmitter() {
    set(kTdbal, kTransmit);
    set(kTdbal + kLength, kEntries * 16);
    set(kTctl, kTransmitOn);
  }
  void describe(GuestPhysical address, uint32_t lower, uint32_t upper = 0) {
    poke(kTransmit + 16 * tail, address);
    poke(kTransmit + 16 * tail + 8, lower);
    poke(kTransmit + 16 * tail + 12, upper);
    tail = (tail + 1) % kEntries;
  }
  void send() { set(kTdbal + kTail, tail); }
  uint8_t transmit_status(unsigned index) { return peek<uint8_t>(kTransmit + 16 * index + 12) & 15; }
  /// What the network's thread would do: everything that is there.
  std::vector<Frame> sent() {
    std::vector<Frame> frames;
    Frame frame;
    while (link.card->next_frame(frame)) frames.push_back(frame);
    return frames;
  }

  // Receiving.
  void start_receiver(uint32_t more = 0) {
    for (uint32_t i = 0; i < kEntries; ++i) poke<uint64_t>(kReceive + 16 * i, kBuffers + 0x800 * i);
    set(kRdbal, kReceive);
    set(kRdbal + kLength, kEntries * 16);
    set(kRdbal + kTail, kEntries - 1);
    set(kRctl, kReceiveOn | more);
  }
  /// The part of the descriptor that the card writes.
  uint64_t received(unsigned index) { return peek<uint64_t>(kReceive + 16 * index + 8); }
  uint8_t receive_status(unsigned index) { return static_cast<uint8_t>(received(index) >> 32); }
  uint8_t receive_errors(unsigned index) { return static_cast<uint8_t>(received(index) >> 40); }
  uint16_t receive_length(unsigned index) { return static_cast<uint16_t>(received(index)); }

  /// To the card itself, with a length that makes bytes countable.
  static Frame frame_to(const MacAddress& to, size_t length) {
    Frame frame(length);
    for (size_t i = 0; i < length; ++i) frame[i] = static_cast<uint8_t>(i);
    std::copy(to.begin(), to.end(), frame.begin());
    put_16(frame, kTypeAt, 0x1234);
    return frame;
  }
  static Frame own_frame(size_t length) { return frame_to(kFirstAddress, length); }

  FakeLink link;
  E1000 card{"e1000", timers, link, kFirstAddress};
  uint64_t bar = 0;
  uint64_t port = 0;
  uint32_t tail = 0;
};

}  // namespace eidolon::device::net
