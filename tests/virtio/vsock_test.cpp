// The socket device: packets go through as they are, in the order of their queues, and no further.
#include "device/virtio/vsock.h"

#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

class FakeWire final : public VsockWire {
 public:
  void plug(VsockGuest* new_guest) override { guest = new_guest; }
  void wake() override { ++wakes; }
  VsockGuest* guest = nullptr;
  unsigned wakes = 0;
};

class VsockTest : public VirtioTest {
 protected:
  static constexpr uint32_t kCid = 42;
  enum Queues { kReceive, kTransmit, kEvents };

  VsockTest() { put(*device); }
  ~VsockTest() override { device.reset(); }

  void start() {
    use_messages(3);
    accept(kFeatureVersion1);
    for (unsigned queue = 0; queue < 3; ++queue) queues.push_back(make_queue(queue));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  static VsockHeader header(VsockOperation operation, uint32_t length = 0) {
    return {.source_cid = kCid,
            .destination_cid = kVsockHost,
            .source_port = 1000,
            .destination_port = 2000,
            .length = length,
            .type = kVsockStream,
            .operation = operation,
            .flags = 0x01020304,
            .buffer = 0x05060708,
            .forwarded = 0x090a0b0c};
  }
  /// As two pieces: the header, and what follows it.
  void send(const VsockHeader& what, std::string_view payload = {}) {
    queues[kTransmit].put(kData, what);
    if (!payload.empty()) {
      ASSERT_TRUE(memory->write(kData + 0x100, payload.data(), payload.size()));
    }
    queues[kTransmit].descriptor(0, kData, sizeof what, payload.empty() ? 0 : SplitDriver::kNext, 1);
    queues[kTransmit].descriptor(1, kData + 0x100, static_cast<uint32_t>(payload.size()), 0);
    queues[kTransmit].offer(0);
    notify(kTransmit);
  }
  void offer_room(uint16_t index, uint32_t bytes) {
    queues[kReceive].descriptor(index, room(index), bytes, SplitDriver::kWrite);
    queues[kReceive].offer(index);
    notify(kReceive);
  }
  static GuestPhysical room(uint16_t index) { return kData + 0x1000 + 0x200u * index; }
  [[nodiscard]] std::string text_at(GuestPhysical at, size_t length) const {
    std::string text(length, '\0');
    EXPECT_TRUE(memory->read(at, text.data(), length));
    return text;
  }
  std::optional<size_t> give(const VsockHeader& what, std::string_view payload = {}) {
    return wire.guest->receive(wire.guest->life(), what,
                               {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()});
  }

  FakeWire wire;
  std::unique_ptr<Vsock> device = std::make_unique<Vsock>("vsock", wire, kCid);
  std::vector<SplitDriver> queues;
  VsockPacket packet;
};

TEST_F(VsockTest, SaysTheGuestsAddress) {
  EXPECT_EQ(read(kSlot, 2, 2), 0x1040u + 19);
  EXPECT_EQ(get_bar(kConfig, 4), kCid);
  EXPECT_EQ(get_bar(kConfig + 4, 4), 0u);
}

TEST_F(VsockTest, CarriesWhatTheGuestSends) {
  start();
  EXPECT_FALSE(wire.guest->next_packet(packet));
  const unsigned before = wire.wakes;
  send(header(VsockOperation::kData, 5), "hello");
  EXPECT_EQ(wire.wakes, before + 1);
  ASSERT_TRUE(wire.guest->next_packet(packet));
  EXPECT_EQ(std::string(packet.payload.begin(), packet.payload.end()), "hello");
  EXPECT_EQ(packet.header.source_port, 1000u);
  EXPECT_EQ(packet.header.destination_port, 2000u);
  EXPECT_EQ(packet.header.flags, 0x01020304u);
  EXPECT_EQ(packet.header.buffer, 0x05060708u);
  EXPECT_EQ(packet.header.forwarded, 0x090a0b0cu);
  EXPECT_EQ(queues[kTransmit].used(), 1u);
  EXPECT_FALSE(wire.guest->next_packet(packet));
}

TEST_F(VsockTest, WhatIsNoPacketComesAsNone) {
  start();
  const auto operation_of = [&](const VsockHeader& what, std::string_view payload = {}) {
    send(what, payload);
    EXPECT_TRUE(wire.guest->next_packet(packet));
    EXPECT_TRUE(packet.payload.empty());
    return packet.header.operation;
  };
  EXPECT_EQ(operation_of(header(VsockOperation::kData, 6), "short"), VsockOperation::kInvalid);
  EXPECT_EQ(operation_of(header(VsockOperation::kData, ~0u), "short"), VsockOperation::kInvalid);
  EXPECT_EQ(packet.header.source_port, 1000u) << "whom to answer";
  VsockHeader of_another = header(VsockOperation::kRequest);
  of_another.source_cid = kCid + 1;
  EXPECT_EQ(operation_of(of_another), VsockOperation::kInvalid);
  EXPECT_EQ(packet.header.source_cid, 0u) << "nobody";
  queues[kTransmit].descriptor(0, kData, 43, 0);
  queues[kTransmit].offer(0);
  ASSERT_TRUE(wire.guest->next_packet(packet));
  EXPECT_EQ(packet.header.operation, VsockOperation::kInvalid);
  EXPECT_EQ(operation_of(header(VsockOperation::kRequest, 1000)), VsockOperation::kRequest)
      << "only data has a payload";
  EXPECT_EQ(status(), 15u);
}

TEST_F(VsockTest, ADataPacketIsCutToTheBuffersThatThereAre) {
  start();
  EXPECT_EQ(give(header(VsockOperation::kData), "0123456789"), std::nullopt);
  offer_room(0, 44 + 4);
  offer_room(1, 44 + 3);
  EXPECT_EQ(give(header(VsockOperation::kData), "0123456789"), 7u);
  EXPECT_EQ(queues[kReceive].used_length(0), 48u);
  EXPECT_EQ(queues[kReceive].used_length(1), 47u);
  EXPECT_EQ(text_at(room(0) + 44, 4), "0123");
  EXPECT_EQ(text_at(room(1) + 44, 3), "456");
  EXPECT_EQ(queues[kReceive].get<VsockHeader>(room(1)).length, 3u);
  EXPECT_EQ(queues[kReceive].get<VsockHeader>(room(1)).buffer, 0x05060708u);
  offer_room(2, 44);
  EXPECT_EQ(give(header(VsockOperation::kReset)), 0u);
  EXPECT_EQ(queues[kReceive].get<VsockHeader>(room(2)).operation, VsockOperation::kReset);
}

TEST_F(VsockTest, BuffersWithoutRoomForAPacketStopTheDevice) {
  start();
  offer_room(0, 43);
  EXPECT_EQ(give(header(VsockOperation::kReset)), std::nullopt);
  EXPECT_EQ(status(), 15u | kStatusNeedsReset);
}

TEST_F(VsockTest, ABufferOutsideMemoryIsGivenBack) {
  start();
  queues[kReceive].descriptor(0, 0xfffff000, 100, SplitDriver::kWrite);
  queues[kReceive].offer(0);
  EXPECT_EQ(give(header(VsockOperation::kReset)), 0u);
  EXPECT_EQ(queues[kReceive].used_length(0), 0u);
}

TEST_F(VsockTest, AResetIsAnotherLife) {
  start();
  const uint64_t life = wire.guest->life();
  send(header(VsockOperation::kRequest));
  set_bar(0x14, 1, 0);
  EXPECT_FALSE(wire.guest->next_packet(packet));
  EXPECT_NE(wire.guest->life(), life);
  queues.clear();
  start();
  offer_room(0, 100);
  EXPECT_EQ(wire.guest->receive(life, header(VsockOperation::kReset), {}), 0u);
  EXPECT_EQ(queues[kReceive].used(), 0u) << "it was for the life before";
  send(header(VsockOperation::kRequest));
  ASSERT_TRUE(wire.guest->next_packet(packet));
  EXPECT_EQ(packet.life, wire.guest->life());
}

TEST_F(VsockTest, ARestoredGuestIsToldThatItsStreamsAreGone) {
  start();
  send(header(VsockOperation::kRequest));
  StateWriter writer;
  transport->save(writer);
  set_bar(0x14, 1, 0);
  StateReader reader(writer.bytes());
  ASSERT_TRUE(device->hold(std::chrono::milliseconds(0)));
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  queues[kEvents].descriptor(0, kData + 0x800, 4, SplitDriver::kWrite);
  queues[kEvents].put(kData + 0x800, ~0u);
  queues[kEvents].offer(0);
  notify(kEvents);
  EXPECT_EQ(queues[kEvents].used(), 0u) << "the machine stands still";
  EXPECT_FALSE(wire.guest->next_packet(packet));
  device->release();
  ASSERT_EQ(queues[kEvents].used(), 1u);
  EXPECT_EQ(queues[kEvents].get<uint32_t>(kData + 0x800), 0u);
  EXPECT_EQ(queues[kEvents].used_length(0), 4u);
  EXPECT_TRUE(wire.guest->next_packet(packet)) << "what was on its way still is";
  queues[kEvents].offer(0);
  notify(kEvents);
  EXPECT_EQ(queues[kEvents].used(), 1u) << "once";
}

}  // namespace
}  // namespace eidolon::device::virtio
