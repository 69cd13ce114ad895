// The input devices: what they say they have, and that the guest gets to know what the user does, whole and
// in order, however slow it is.
#include <optional>

#include "device/input/input.h"
#include "device/virtio/input_keyboard.h"
#include "device/virtio/input_tablet.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {

inline void PrintTo(const InputEvent& event, std::ostream* to) {
  *to << event.type << "/" << event.code << "=" << event.value;
}

namespace {

constexpr InputEvent kSync{0, 0, 0};
constexpr uint16_t kKeyA = 30, kKeyB = 48;

template <typename Kind>
class InputTest : public VirtioTest {
 protected:
  enum Queues { kEvents, kStatus };
  InputTest() { put(device); }

  void start() {
    use_messages(2);
    accept(kFeatureVersion1);
    events.emplace(make_queue(kEvents));
    status_queue.emplace(make_queue(kStatus));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  static GuestPhysical room(unsigned index) { return kData + 16u * index; }
  /// One more buffer for an event, `bytes` long.
  void offer(uint32_t bytes = 8) {
    const auto slot = static_cast<uint16_t>(offered++ % 16);
    events->descriptor(slot, room(slot), bytes, SplitDriver::kWrite);
    events->offer(slot);
  }
  void offer_many(unsigned count) {
    for (unsigned i = 0; i < count; ++i) offer();
    notify(kEvents);
  }
  /// What has come since the last call.
  std::vector<InputEvent> take() {
    std::vector<InputEvent> all;
    for (; taken != events->used(); ++taken) {
      EXPECT_EQ(events->used_length(taken), 8u);
      all.push_back(events->template get<InputEvent>(room(events->used_id(taken))));
    }
    return all;
  }
  std::vector<uint8_t> ask(uint8_t select, uint8_t subselect) {
    set_bar(kConfig, 1, select);
    set_bar(kConfig + 1, 1, subselect);
    std::vector<uint8_t> bytes(get_bar(kConfig + 2, 1));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(get_bar(kConfig + 8 + i, 1));
    return bytes;
  }
  static bool has(const std::vector<uint8_t>& bits, unsigned number) {
    return number / 8 < bits.size() && (bits[number / 8] >> number % 8 & 1) != 0;
  }
  void save_and_load() {
    StateWriter saved;
    transport->save(saved);
    transport->reset();
    StateReader reader(saved.bytes());
    transport->load(reader);
    ASSERT_FALSE(reader.failed());
  }

  Kind device{"input0"};
  std::optional<SplitDriver> events, status_queue;
  unsigned offered = 0;
  uint16_t taken = 0;
};

class InputKeyboardTest : public InputTest<InputKeyboard> {
 protected:
  void press(uint16_t code, bool down = true) { device.key({.code = code, .down = down}); }
  static InputEvent key(uint16_t code, uint32_t value) { return {kInputKey, code, value}; }
};
class InputTabletTest : public InputTest<InputTablet> {};

using Events = std::vector<InputEvent>;

TEST_F(InputKeyboardTest, SaysWhatItHas) {
  EXPECT_EQ(read(kSlot, 0), 0x10521af4u);
  EXPECT_EQ(read(kSlot, 8) >> 8, 0x090000u);
  const std::vector<uint8_t> name = ask(1, 0);
  EXPECT_EQ(std::string(name.begin(), name.end()), "Virtio keyboard");
  EXPECT_EQ(ask(3, 0), (std::vector<uint8_t>{6, 0, 0xf4, 0x1a, 1, 0, 1, 0}));
  const std::vector<uint8_t> keys = ask(0x11, kInputKey);
  EXPECT_TRUE(has(keys, 1));
  EXPECT_TRUE(has(keys, 248));
  EXPECT_FALSE(has(keys, 0));
  EXPECT_FALSE(has(keys, 249));
  EXPECT_EQ(ask(0x11, kInputLight), std::vector<uint8_t>{7});
  EXPECT_FALSE(ask(0x11, kInputRepeat).empty());
  EXPECT_TRUE(ask(0x11, kInputAbsolute).empty());
  EXPECT_TRUE(ask(0x10, 0).empty());
  EXPECT_TRUE(ask(0x12, 0).empty());
  EXPECT_TRUE(ask(1, 1).empty());
  EXPECT_TRUE(ask(0xff, 0xff).empty());
  EXPECT_EQ(get_bar(kConfig, 2), 0xffffu) << "the question is still there";
}

TEST_F(InputKeyboardTest, KeysComeAsPacketsAndInterrupt) {
  start();
  offer_many(8);
  EXPECT_TRUE(device.keyboard_ready());
  press(kKeyA);
  EXPECT_EQ(local.acknowledge(), kQueueVector);
  press(kKeyB);
  press(kKeyA, false);
  EXPECT_EQ(take(), (Events{key(kKeyA, 1), kSync, key(kKeyB, 1), kSync, key(kKeyA, 0), kSync}));
}

TEST_F(InputKeyboardTest, WhatChangesNothingIsNotTold) {
  start();
  offer_many(8);
  press(kKeyA);
  press(kKeyA);
  press(kKeyB, false);
  press(0);
  press(300);
  EXPECT_EQ(take(), (Events{key(kKeyA, 1), kSync}));
}

TEST_F(InputKeyboardTest, NothingIsToldBeforeTheDriverIsReadyNorAfterAReset) {
  EXPECT_FALSE(device.keyboard_ready());
  press(kKeyA);
  start();
  offer_many(4);
  EXPECT_EQ(take(), Events{});
  press(kKeyA);
  set_bar(0x14, 1, 0);
  EXPECT_FALSE(device.keyboard_ready());
  taken = 0;
  offered = 0;
  start();
  offer_many(4);
  EXPECT_EQ(take(), Events{}) << "a new driver believes that nothing is pressed";
  press(kKeyA);
  EXPECT_EQ(take(), (Events{key(kKeyA, 1), kSync}));
}

TEST_F(InputKeyboardTest, EventsWaitForBuffers) {
  start();
  offer_many(1);
  press(kKeyA);
  press(kKeyA, false);
  EXPECT_EQ(take(), Events{key(kKeyA, 1)}) << "the rest of the packet has no buffer";
  offer_many(1);
  EXPECT_EQ(take(), Events{kSync});
  offer_many(4);
  EXPECT_EQ(take(), (Events{key(kKeyA, 0), kSync}));
}

TEST_F(InputKeyboardTest, AKeyIsLetGoThoughTheGuestDidNotLook) {
  start();
  for (unsigned i = 0; i < 20'000; ++i) press(static_cast<uint16_t>(1 + i % 200), i % 3 != 2);
  for (uint16_t code = 1; code < 249; ++code) press(code, false);
  std::array<uint32_t, 256> down{};
  size_t count = 0;
  for (unsigned round = 0; round < 1000; ++round) {
    offer_many(10);
    for (const InputEvent& event : take()) {
      ++count;
      if (event.type == kInputKey) down[event.code] = event.value;
    }
  }
  EXPECT_GT(count, 8000u) << "a long text has room";
  EXPECT_LT(count, 9000u) << "and there is a limit";
  EXPECT_EQ(down, (std::array<uint32_t, 256>{}));
}

TEST_F(InputKeyboardTest, LightsAreSetAndBuffersComeBack) {
  start();
  const auto set = [&](uint16_t code, uint32_t value) {
    status_queue->put(kData + 0x1000, InputEvent{kInputLight, code, value});
    status_queue->descriptor(0, kData + 0x1000, 8, 0);
    status_queue->offer(0);
    notify(kStatus);
  };
  set(1, 1);
  EXPECT_EQ(device.lights(), 2u);
  set(0, 1);
  set(1, 0);
  set(7, 1);
  EXPECT_EQ(device.lights(), 1u);
  status_queue->descriptor(0, kData, 4, 0);
  status_queue->offer(0);
  notify(kStatus);
  EXPECT_EQ(status_queue->used(), 5u) << "one too short too";
}

TEST_F(InputKeyboardTest, BuffersThatCannotHoldAnEventAreGivenBackEmpty) {
  start();
  offer(4);
  notify(kEvents);
  press(kKeyA);
  EXPECT_EQ(events->used(), 1u);
  EXPECT_EQ(events->used_length(0), 0u);
  taken = 1;
  offer_many(2);
  EXPECT_EQ(take(), (Events{key(kKeyA, 1), kSync}));
}

TEST_F(InputKeyboardTest, NothingIsWrittenWhileItIsHeld) {
  start();
  offer_many(4);
  ASSERT_TRUE(transport->hold(std::chrono::milliseconds(0)));
  press(kKeyA);
  EXPECT_EQ(take(), Events{});
  transport->release();
  EXPECT_EQ(take(), (Events{key(kKeyA, 1), kSync}));
}

TEST_F(InputKeyboardTest, SnapshotsHaveWhatWaitsAndWhatIsPressed) {
  start();
  offer_many(1);
  press(kKeyA);
  EXPECT_EQ(take(), Events{key(kKeyA, 1)});
  press(kKeyB);
  save_and_load();
  EXPECT_TRUE(device.keyboard_ready());
  offer_many(8);
  EXPECT_EQ(take(), (Events{kSync, key(kKeyB, 1), kSync}));
  press(kKeyA, false);
  EXPECT_EQ(take(), (Events{key(kKeyA, 0), kSync}));
}

/// As the PS/2 keyboard, which is always there.
struct OldKeyboard final : input::Keyboard {
  void key(const input::KeyEvent& /*event*/) override { ++keys; }
  [[nodiscard]] bool keyboard_ready() const override { return true; }
  unsigned keys = 0;
};

TEST_F(InputKeyboardTest, KeysGoToWhomTheGuestListens) {
  OldKeyboard old;
  input::Input user;
  user.add(old);
  user.add(device);
  user.key({.code = kKeyA, .down = true});
  EXPECT_EQ(old.keys, 1u) << "the driver is not there yet";
  start();
  offer_many(8);
  user.key({.code = kKeyB, .down = true});
  EXPECT_EQ(old.keys, 1u);
  EXPECT_EQ(take(), (Events{key(kKeyB, 1), kSync}));
  user.remove_all();
  user.key({.code = kKeyB, .down = false});
  user.pointer({.absolute = true, .x = 1, .y = 1, .wheel = 0, .buttons = 0});
  EXPECT_EQ(old.keys, 1u);
  EXPECT_EQ(take(), Events{});
}

TEST_F(InputTabletTest, SaysWhatItHas) {
  const std::vector<uint8_t> buttons = ask(0x11, kInputKey);
  EXPECT_TRUE(has(buttons, 0x110));
  EXPECT_TRUE(has(buttons, 0x114));
  EXPECT_FALSE(has(buttons, 0x115));
  EXPECT_EQ(ask(0x11, kInputAbsolute), std::vector<uint8_t>{3});
  EXPECT_EQ(ask(0x11, kInputRelative), (std::vector<uint8_t>{0, 1}));
  EXPECT_TRUE(ask(0x11, kInputRepeat).empty());
  std::vector<uint8_t> range(20);
  range[4] = 0xff;
  range[5] = 0x7f;
  EXPECT_EQ(ask(0x12, 0), range);
  EXPECT_EQ(ask(0x12, 1), range);
  EXPECT_TRUE(ask(0x12, 2).empty());
}

TEST_F(InputTabletTest, PositionsButtonsAndTheWheelComeAsOnePacket) {
  start();
  offer_many(16);
  device.pointer({.absolute = true,
                  .x = 100,
                  .y = 40'000,
                  .wheel = -2,
                  .buttons = input::kLeftButton | input::kSideButton});
  EXPECT_EQ(take(), (Events{{kInputAbsolute, 0, 100},
                            {kInputAbsolute, 1, 0x7fff},
                            {kInputKey, 0x110, 1},
                            {kInputKey, 0x113, 1},
                            {kInputRelative, 8, static_cast<uint32_t>(-2)},
                            kSync}));
  device.pointer({.absolute = true, .x = 101, .y = 0x7fff, .wheel = 0, .buttons = 0});
  EXPECT_EQ(take(), (Events{{kInputAbsolute, 0, 101}, {kInputKey, 0x110, 0}, {kInputKey, 0x113, 0}, kSync}));
  device.pointer({.absolute = false, .x = 5, .y = 5, .wheel = 0, .buttons = 1});
  EXPECT_EQ(take(), Events{}) << "movements are for a mouse";
}

TEST_F(InputTabletTest, MovementsThatNobodyReadsBecomeOne) {
  start();
  for (int32_t i = 0; i < 10'000; ++i)
    device.pointer({.absolute = true, .x = i, .y = i, .wheel = 1, .buttons = 0});
  InputEvent last_x{};
  uint64_t notches = 0;
  size_t count = 0;
  for (unsigned round = 0; round < 200; ++round) {
    offer_many(4);
    for (const InputEvent& event : take()) {
      ++count;
      if (event.type == kInputAbsolute && event.code == 0) last_x = event;
      if (event.type == kInputRelative) notches += event.value;
    }
  }
  EXPECT_EQ(last_x.value, 9'999u);
  EXPECT_EQ(notches, 10'000u) << "no notch is lost";
  EXPECT_LT(count, 20u);
}

TEST_F(InputTabletTest, ButtonsThatNobodyReadsStayWhereTheyWerePressed) {
  start();
  const auto move = [&](int32_t x, uint8_t buttons) {
    device.pointer({.absolute = true, .x = x, .y = 0, .wheel = 0, .buttons = buttons});
  };
  move(1, 0);
  move(2, 0);
  move(3, input::kLeftButton);
  move(4, input::kLeftButton);
  move(5, 0);
  offer_many(16);
  EXPECT_EQ(take(), (Events{{kInputAbsolute, 0, 1},
                            {kInputAbsolute, 1, 0},
                            kSync,
                            {kInputAbsolute, 0, 3},
                            {kInputKey, 0x110, 1},
                            kSync,
                            {kInputAbsolute, 0, 5},
                            {kInputKey, 0x110, 0},
                            kSync}));
}

TEST_F(InputTabletTest, SnapshotsHaveThePositionAndAreNotBelieved) {
  start();
  offer_many(4);
  device.pointer({.absolute = true, .x = 7, .y = 8, .wheel = 0, .buttons = 0});
  (void)take();
  save_and_load();
  offer_many(4);
  device.pointer({.absolute = true, .x = 7, .y = 9, .wheel = 0, .buttons = 0});
  EXPECT_EQ(take(), (Events{{kInputAbsolute, 1, 9}, kSync}));
  StateWriter saved;
  transport->save(saved);
  std::vector<uint8_t> bytes = saved.bytes();
  bytes[bytes.size() - 4 - 1 - 1] = 0x77;  // the highest byte of the y that was told
  StateReader reader(bytes);
  transport->load(reader);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace eidolon::device::virtio
