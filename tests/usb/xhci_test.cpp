// The controller from reset to a report of the tablet, and what hostile drivers do.
#include "usb/xhci_fixture.h"

namespace eidolon::device::usb {
namespace {

using namespace xhci;

TEST_F(XhciTest, TellsWhatItIs) {
  EXPECT_EQ(read(kSlot, pci::kRevision) >> 8, 0x0c0330u);
  EXPECT_EQ(read(kSlot, 0x60, 1), 0x30u) << "the release of the serial bus";
  EXPECT_EQ(get(0), 0x01100040u);
  EXPECT_EQ(get(4), kSlots | kInterrupters << 8 | kPorts << 24);
  EXPECT_EQ(get(0x10) >> 16, 0x800u / 4);
  EXPECT_EQ(get(0x804), 0x20425355u);
  EXPECT_EQ(get(0x818), 5u | 4u << 8) << "USB 3 from port 5 on";
  EXPECT_EQ(get(0x44) & 1, 1u) << "halted";
  EXPECT_EQ(mmio.read(bar + 2, 2), 0x0110u) << "a part of a register";
}

TEST_F(XhciTest, AResetOfAPortEnablesItAndIsTold) {
  EXPECT_EQ(get(kPort1) & 0x1e0203, 0x20201u) << "connected, powered, a change";
  EXPECT_EQ(get(kPort1 + 0x10) & 1, 0u) << "nothing in the next";
  start();
  EXPECT_EQ(wait_event(kPortStatusChange).parameter, 1u << 24);
  set(kPort1, 1 << 9 | 1 << 17);
  set(kPort1, 1 << 9 | 1 << 4);
  EXPECT_EQ(wait_event(kPortStatusChange).parameter, 1u << 24);
  EXPECT_EQ(get(kPort1) & 0x3e03, 0x603u) << "enabled, full speed";
  EXPECT_NE(get(kPort1) & 1 << 21, 0u);
  EXPECT_NE(get(0x44) & 1 << 4, 0u);
}

TEST_F(XhciTest, CommandsAreAnswered) {
  start();
  EXPECT_EQ(code(command(kNoOpCommand)), Code::kSuccess);
  EXPECT_EQ(get(0x58) & 8, 8u) << "the ring runs";
  Trb event = command(kEnableSlot);
  EXPECT_EQ(event.slot(), 1u);
  for (unsigned i = 2; i <= 8; ++i) EXPECT_EQ(command(kEnableSlot).slot(), i);
  EXPECT_EQ(code(command(kEnableSlot)), Code::kNoSlots) << "CONFIG says 8";
  EXPECT_EQ(code(command(kDisableSlot, 0, 3u << 24)), Code::kSuccess);
  EXPECT_EQ(code(command(kDisableSlot, 0, 3u << 24)), Code::kSlotNotEnabled);
  EXPECT_EQ(command(kEnableSlot).slot(), 3u);
  EXPECT_EQ(code(command(kStopEndpoint, 0, 1u << 24 | 1u << 16)), Code::kContextStateError);
  EXPECT_EQ(code(command(kAddressDevice, 0x7'0000'0000, 1u << 24)), Code::kParameterError);
  EXPECT_EQ(code(command(static_cast<TrbType>(50))), Code::kTrbError);
  for (unsigned i = 0; i < 200; ++i)
    ASSERT_EQ(code(command(kNoOpCommand)), Code::kSuccess) << "around the rings";
}

TEST_F(XhciTest, AStoppedCommandRingIsTold) {
  start();
  (void)command(kNoOpCommand);
  set64(0x58, 2);
  const Trb event = wait_event(kCommandCompletion);
  EXPECT_EQ(code(event), Code::kRingStopped);
  EXPECT_EQ(event.parameter, kCommands + 16);
  EXPECT_EQ(get(0x58) & 8, 0u);
  EXPECT_EQ(code(command(kNoOpCommand)), Code::kSuccess) << "a doorbell starts it again";
}

TEST_F(XhciTest, ADeviceIsAddressedAndDescribed) {
  start();
  address();
  EXPECT_EQ(slot_state(), 2u);
  EXPECT_EQ(peek<uint8_t>(kDevice + 12), 1u) << "its address";
  EXPECT_EQ(endpoint_state(1), 1u);
  put_control(0x80, 6, 0x100, 64);
  Trb event = wait_event(kTransferEvent);
  EXPECT_EQ(code(event), Code::kShortPacket);
  EXPECT_EQ(event.status & 0xffffff, 64u - 18u);
  EXPECT_EQ(event.parameter, kControl + 16) << "at the data";
  event = wait_event(kTransferEvent);
  EXPECT_EQ(code(event), Code::kSuccess);
  EXPECT_EQ(event.endpoint(), 1u);
  EXPECT_EQ(event.slot(), 1u);
  EXPECT_EQ(peek<uint16_t>(kData), 0x0112u);
}

TEST_F(XhciTest, AReportArrivesWhenThereIsOne) {
  start();
  configure();
  EXPECT_EQ(slot_state(), 3u);
  put_in();
  EXPECT_TRUE(quiet());
  tablet.pointer({.absolute = true, .x = 0x1234, .y = 7, .buttons = 2});
  const Trb event = wait_event(kTransferEvent);
  EXPECT_EQ(code(event), Code::kShortPacket) << "6 of 8 bytes";
  EXPECT_EQ(event.status & 0xffffff, 2u);
  EXPECT_EQ(event.endpoint(), kInIndex);
  EXPECT_EQ(peek<uint64_t>(kData) & 0xffffffffffff, 0x000007123402u) << "wheel, y, x, buttons";
  tablet.pointer({.absolute = true, .x = 1, .y = 1});
  EXPECT_TRUE(quiet()) << "nobody has asked";
  put_in();
  (void)wait_event(kTransferEvent);
}

TEST_F(XhciTest, ManyReportsFromAnotherThreadAllArrive) {
  start();
  configure();
  std::thread user([this] {
    for (uint8_t i = 0; i < 200; ++i) {
      tablet.pointer({.absolute = true, .x = i, .y = 0, .buttons = static_cast<uint8_t>(i & 1)});
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    tablet.pointer({.absolute = true, .x = 1000, .y = 0});
  });
  uint16_t x = 0;
  for (unsigned i = 0; i < 300 && x != 1000; ++i) {
    put_in(6);
    EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kSuccess);
    const auto next = peek<uint16_t>(kData + 1);
    EXPECT_GE(next, x);
    x = next;
  }
  EXPECT_EQ(x, 1000u);
  user.join();
}

TEST_F(XhciTest, AStallHaltsUntilTheDriverResetsTheEndpoint) {
  start();
  address();
  EXPECT_EQ(code(control(0x80, 6, 0x0f00, 5)), Code::kStall);
  EXPECT_EQ(endpoint_state(1), 2u);
  put_control(0x80, 6, 0x100, 18);
  EXPECT_TRUE(quiet());
  EXPECT_EQ(code(command(kSetDequeue, kControl | 1, 1u << 24 | 1u << 16)), Code::kContextStateError);
  EXPECT_EQ(code(command(kResetEndpoint, 0, 1u << 24 | 1u << 16)), Code::kSuccess);
  const uint64_t next = kControl + control_ring.index * sizeof(Trb);
  EXPECT_EQ(code(command(kSetDequeue, next | 1, 1u << 24 | 1u << 16)), Code::kSuccess);
  EXPECT_EQ(code(control(0x80, 6, 0x100, 18)), Code::kSuccess);
}

TEST_F(XhciTest, StoppingAnEndpointTellsOfTheTransferThatWaits) {
  start();
  configure();
  put_in();
  EXPECT_TRUE(quiet());
  put(commands, {.control = trb_type(kStopEndpoint) | 1u << 24 | kInIndex << 16});
  set(0x2000, 0);
  const Trb event = wait_event(kTransferEvent);
  EXPECT_EQ(code(event), Code::kStopped);
  EXPECT_EQ(event.parameter, kIn);
  EXPECT_EQ(code(wait_event(kCommandCompletion)), Code::kSuccess);
  EXPECT_EQ(endpoint_state(kInIndex), 3u);
  EXPECT_EQ(peek<uint64_t>(kDevice + 0x20 * kInIndex + 8), kIn | 1) << "where to go on";
  tablet.pointer({.absolute = true, .x = 1, .y = 1});
  EXPECT_TRUE(quiet());
  ring(1, kInIndex);
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kShortPacket);
}

TEST_F(XhciTest, AResetDeviceKeepsOnlyTheControlEndpoint) {
  start();
  configure();
  EXPECT_EQ(code(command(kResetDevice, 0, 1u << 24)), Code::kSuccess);
  EXPECT_EQ(slot_state(), 1u);
  EXPECT_EQ(endpoint_state(kInIndex), 0u);
  EXPECT_EQ(code(command(kAddressDevice, kInput, 1u << 24)), Code::kParameterError) << "input for endpoint 3";
}

TEST_F(XhciTest, EventDataIsGivenBack) {
  start();
  address();
  const usb::Setup setup = {.type = 0x80, .request = 6, .value = 0x100, .index = 0, .length = 18};
  uint64_t bytes = 0;
  std::memcpy(&bytes, &setup, sizeof bytes);
  put(control_ring, {.parameter = bytes, .status = 8, .control = trb_type(kSetupStage) | kImmediateData});
  put(control_ring,
      {.parameter = kData, .status = 10, .control = trb_type(kDataStage) | kDirectionIn | kChain});
  put(control_ring, {.parameter = kData + 0x100, .status = 8, .control = trb_type(kNormal) | kChain});
  put(control_ring, {.parameter = 0x1234567890, .control = trb_type(kEventDataTrb) | kInterruptOnCompletion});
  put(control_ring, {.control = trb_type(kStatusStage) | kInterruptOnCompletion});
  ring(1, 1);
  const Trb event = wait_event(kTransferEvent);
  EXPECT_EQ(event.parameter, 0x1234567890u);
  EXPECT_EQ(event.status, 18u | 1u << 24);
  EXPECT_NE(event.control & kEventData, 0u);
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kSuccess);
  EXPECT_EQ(peek<uint8_t>(kData + 0x100 + 7), 1u) << "the last byte of the descriptor";
}

TEST_F(XhciTest, AFullEventRingHoldsThingsBack) {
  start();
  for (unsigned i = 0; i < 100; ++i) {
    const GuestPhysical at = kCommands + i * sizeof(Trb);
    poke(at, Trb{.control = trb_type(kNoOpCommand) | 1});
  }
  poke(kCommands + 100 * sizeof(Trb), Trb{});
  set(0x2000, 0);
  ASSERT_TRUE(
      wait_until([&] { return (__atomic_load_n(word(kEvents + 61 * 16 + 12), __ATOMIC_ACQUIRE) & 1) != 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(get(0x44) & kHostControllerError, 0u);
  unsigned answers = 0;
  for (unsigned i = 0; i < 100; ++i)
    answers += wait_event(kCommandCompletion).parameter == kCommands + i * 16;
  EXPECT_EQ(answers, 100u) << "none is lost";
}

TEST_F(XhciTest, RingsOutsideMemoryDoNoHarm) {
  start();
  set64(0x58, 0x7'0000'0001);
  set(0x2000, 0);
  ASSERT_TRUE(wait_until([&] { return (get(0x44) & kHostControllerError) != 0; }));
  set(0x40, 2);
  EXPECT_EQ(get(0x44) & kHostControllerError, 0u);
  start();
  EXPECT_EQ(code(command(kNoOpCommand)), Code::kSuccess);
  configure();
  EXPECT_EQ(code(command(kStopEndpoint, 0, 1u << 24 | kInIndex << 16)), Code::kSuccess);
  EXPECT_EQ(code(command(kSetDequeue, 0x7'0000'0001, 1u << 24 | kInIndex << 16)), Code::kSuccess);
  ring(1, kInIndex);
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kTrbError);
  EXPECT_EQ(endpoint_state(kInIndex), 4u);
}

TEST_F(XhciTest, DataOutsideMemoryHaltsTheEndpoint) {
  start();
  configure();
  put(in_ring, {.parameter = 0x7'0000'0000, .status = 8, .control = trb_type(kNormal) | 0x24});
  ring(1, kInIndex);
  tablet.pointer({.absolute = true, .x = 1, .y = 1});
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kDataBufferError);
  EXPECT_EQ(endpoint_state(kInIndex), 2u);
}

TEST_F(XhciTest, RingsWithoutAnEndKeepNobodyOut) {
  start();
  configure();
  // Links only.
  poke(kIn, Trb{.parameter = kIn, .control = trb_type(kLink) | 1});
  ring(1, kInIndex);
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kTrbError);
  // Commands that go round for ever: the event ring is full after a while, and a reset ends it.
  set64(0x58, 4);
  ASSERT_TRUE(wait_until([&] { return (get(0x58) & 8) == 0; }));
  poke(0x40000, Trb{.control = trb_type(kNoOpCommand) | 1});
  poke(0x40010, Trb{.parameter = 0x40000, .control = trb_type(kLink) | 1});
  set64(0x58, 0x40001);
  set(0x2000, 0);
  for (unsigned i = 0; i < 100; ++i) (void)wait_event(kCommandCompletion);
  set(0x40, 2);
  EXPECT_EQ(get(0x44) & 1, 1u);
  // Transfers without events, so that nothing holds them back.
  start();
  address();
  poke(0x40000, Trb{.control = trb_type(kNoOp) | 1});
  EXPECT_EQ(code(command(kStopEndpoint, 0, 1u << 24 | 1u << 16)), Code::kSuccess);
  EXPECT_EQ(code(command(kSetDequeue, 0x40001, 1u << 24 | 1u << 16)), Code::kSuccess);
  ring(1, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(code(command(kNoOpCommand)), Code::kSuccess);
  set(0x40, 2);
  EXPECT_EQ(get(0x44) & 1, 1u);
}

TEST_F(XhciTest, TheWireFollowsTheInterrupter) {
  const unsigned pin = 16 + pci::Pirq::line_of(kSlot, 0);
  route_pin(pin, 0xa000 | 0x61);
  start();
  (void)command(kNoOpCommand);
  ASSERT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_NE(get(0x44) & kEventInterrupt, 0u);
  set(0x1020, 3);
  take_events();
  EXPECT_EQ(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
}

TEST_F(XhciTest, ASnapshotGoesOnWhereItWas) {
  start();
  configure();
  put_in();
  EXPECT_TRUE(quiet());
  StateWriter writer;
  controller.save(writer);
  controller.reset();
  StateReader reader(writer.bytes());
  controller.load(reader);
  ASSERT_FALSE(reader.failed());
  tablet.pointer({.absolute = true, .x = 0x55, .y = 1});
  EXPECT_EQ(code(wait_event(kTransferEvent)), Code::kShortPacket);
  EXPECT_EQ(peek<uint8_t>(kData + 1), 0x55u);
}

TEST_F(XhciTest, ADamagedSnapshotDoesNoHarm) {
  start();
  configure();
  StateWriter writer;
  controller.save(writer);
  const std::vector<uint8_t> whole = writer.bytes();
  for (size_t at = 0; at < whole.size(); at += 97) {
    std::vector<uint8_t> bytes = whole;
    bytes[at] ^= 0xff;
    StateReader reader(bytes);
    controller.load(reader);
    (void)get(0x44);
  }
  StateReader again(whole);
  controller.load(again);
  EXPECT_FALSE(again.failed());
}

}  // namespace
}  // namespace eidolon::device::usb
