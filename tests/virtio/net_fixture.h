// A network device on the bus of the PCI tests, a cable that the test holds, and a driver's queues.
#pragma once

#include <optional>

#include "device/net/ethernet.h"
#include "device/virtio/net.h"
#include "device/virtio/net_features.h"
#include "net/fake_link.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {

class NetTest : public VirtioTest {
 protected:
  static constexpr uint64_t kSum = net_feature::kSum, kGuestSum = net_feature::kGuestSum,
                            kTcp4 = net_feature::kTcp4, kTcp6 = net_feature::kTcp6,
                            kGuestTcp4 = net_feature::kGuestTcp4, kMergeable = net_feature::kMergeable,
                            kStatus = net_feature::kStatus, kControl = net_feature::kControl,
                            kModes = net_feature::kModes, kMoreModes = net_feature::kMoreModes,
                            kVlans = net_feature::kVlans, kAnnounce = net_feature::kAnnounce,
                            kPairs = net_feature::kPairs, kSetAddress = net_feature::kSetAddress,
                            kGuestOffloads = net_feature::kGuestOffloads;
  static constexpr uint32_t kBufferBytes = 1526;
  static constexpr unsigned kControlQueue = 2;  ///< of one pair

  NetTest() { put(net); }
  void start(uint64_t features, uint16_t size = 16) {
    use_messages(3);
    accept(kFeatureVersion1 | features);
    receive.emplace(make_queue(0, size));
    transmit.emplace(make_queue(1));
    control.emplace(make_queue(kControlQueue));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }

  static GuestPhysical buffer(unsigned index) { return kData + 0x800 * index; }
  void offer_buffers(uint16_t count) {
    for (uint16_t i = 0; i < count; ++i) {
      receive->descriptor(i, buffer(i), kBufferBytes, SplitDriver::kWrite);
      receive->offer(i);
    }
  }
  /// From behind the buffers, in one piece. The network has to take it before there can be another.
  void send(const std::vector<uint8_t>& frame, const net::Offload& offload) {
    const GuestPhysical at = buffer(16);
    const net::OffloadBytes left = encode(offload, 54);
    ASSERT_TRUE(memory->write(at, left.data(), left.size()));
    ASSERT_TRUE(memory->write(at + 12, frame.data(), frame.size()));
    transmit->descriptor(0, at, static_cast<uint32_t>(12 + frame.size()), 0);
    transmit->offer(0);
  }
  /// A command with its answer; 99: none.
  uint8_t command(const std::vector<uint8_t>& bytes) {
    const GuestPhysical at = kData + 0x1c000;
    EXPECT_TRUE(memory->write(at, bytes.data(), bytes.size()));
    control->put<uint8_t>(at - 1, 99);
    control->descriptor(0, at, static_cast<uint32_t>(bytes.size()), SplitDriver::kNext, 1);
    control->descriptor(1, at - 1, 1, SplitDriver::kWrite);
    control->offer(0);
    notify(kControlQueue);
    return control->get<uint8_t>(at - 1);
  }
  static std::vector<uint8_t> to(const net::MacAddress& address, uint16_t vlan = 0) {
    std::vector<uint8_t> frame(64);
    std::ranges::copy(address, frame.begin());
    if (vlan != 0) net::put_32(frame, 12, 0x8100'0000u | vlan);
    return frame;
  }

  net::FakeLink link;
  Net net{"net", link, net::kFirstAddress, 1};
  std::optional<SplitDriver> receive, transmit, control;
};

}  // namespace eidolon::device::virtio
