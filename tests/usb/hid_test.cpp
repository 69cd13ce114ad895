// The tablet and the keyboard, asked as a host controller asks them.
#include <gtest/gtest.h>
#include <linux/input-event-codes.h>

#include "device/usb/hid_keyboard.h"
#include "device/usb/hid_tablet.h"
#include "device/usb/hid_usages.h"

namespace eidolon::device::usb {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes control_in(Device& device, const Setup& setup, Answer expected = Answer::kDone) {
  Bytes data(setup.length);
  const Result result = device.control(setup, data);
  EXPECT_EQ(result.answer, expected);
  data.resize(result.length);
  return data;
}
Bytes get_descriptor(Device& device, uint16_t value, uint16_t length, uint8_t type = 0x80) {
  return control_in(device, {.type = type, .request = 6, .value = value, .index = 0, .length = length});
}
Answer control_out(Device& device, Setup setup, Bytes data = {}) {
  setup.length = static_cast<uint16_t>(data.size());
  return device.control(setup, data).answer;
}
void configure(Device& device) {
  ASSERT_EQ(control_out(device, {.type = 0, .request = 9, .value = 1, .index = 0, .length = 0}),
            Answer::kDone);
}
/// The next report, or none.
Bytes report(Device& device) {
  Bytes data(8);
  const Result result = device.in(1, data);
  data.resize(result.answer == Answer::kDone ? result.length : 0);
  return data;
}

TEST(HidTablet, DescribesItself) {
  HidTablet tablet("tablet");
  const Bytes device = get_descriptor(tablet, 0x100, 64);
  ASSERT_EQ(device.size(), 18u);
  EXPECT_EQ(device[7], 64u) << "packets of endpoint 0";
  const Bytes configuration = get_descriptor(tablet, 0x200, 255);
  ASSERT_EQ(configuration.size(), 34u);
  EXPECT_EQ(configuration[2], 34u);
  EXPECT_EQ(get_descriptor(tablet, 0x200, 9).size(), 9u) << "as much as was asked for";
  const unsigned report_bytes = configuration[25];
  EXPECT_EQ(get_descriptor(tablet, 0x2200, 255, 0x81).size(), report_bytes);
  EXPECT_EQ(get_descriptor(tablet, 0x302, 255)[2], 'U') << "the product's name";
  (void)control_in(tablet, {.type = 0x80, .request = 6, .value = 0x0f00, .index = 0, .length = 5},
                   Answer::kStall);
}

TEST(HidTablet, ReportsOnceItIsConfigured) {
  HidTablet tablet("tablet");
  unsigned told = 0;
  tablet.set_listener([&told](unsigned endpoint) { told += endpoint; });
  tablet.pointer({.absolute = true, .x = 1, .y = 2});
  EXPECT_FALSE(tablet.pointer_ready());
  EXPECT_EQ(told, 0u);
  configure(tablet);
  EXPECT_TRUE(tablet.pointer_ready());
  EXPECT_TRUE(report(tablet).empty()) << "what came before is forgotten";
  tablet.pointer({.absolute = true, .x = 0x1234, .y = 0x7fff, .wheel = -1, .buttons = 1});
  EXPECT_EQ(told, 1u);
  EXPECT_EQ(report(tablet), (Bytes{1, 0x34, 0x12, 0xff, 0x7f, 0xff}));
  EXPECT_TRUE(report(tablet).empty());
  tablet.pointer({.absolute = true, .x = -5, .y = 0x12345});
  EXPECT_EQ(report(tablet), (Bytes{0, 0, 0, 0xff, 0x7f, 0})) << "kept within its range";
}

TEST(HidTablet, MovementsBecomeOneAndClicksDoNot) {
  HidTablet tablet("tablet");
  configure(tablet);
  for (int32_t x = 0; x < 100; ++x) tablet.pointer({.absolute = true, .x = x, .y = 0, .wheel = 1});
  tablet.pointer({.absolute = true, .x = 99, .y = 0, .buttons = 1});
  tablet.pointer({.absolute = true, .x = 99, .y = 0});
  tablet.pointer({.absolute = true, .x = 100, .y = 0});
  EXPECT_EQ(report(tablet)[5], 1) << "the first, which the guest would have fetched";
  EXPECT_EQ(report(tablet), (Bytes{0, 99, 0, 0, 0, 99}));
  EXPECT_EQ(report(tablet)[0], 1);
  EXPECT_EQ(report(tablet)[0], 0);
  EXPECT_EQ(report(tablet)[1], 100);
  EXPECT_TRUE(report(tablet).empty());
}

TEST(HidTablet, AGuestThatDoesNotFetchSeesTheStateAsItIs) {
  HidTablet tablet("tablet");
  configure(tablet);
  for (int32_t i = 0; i < 1001; ++i)
    tablet.pointer({.absolute = true, .x = i, .y = 0, .buttons = static_cast<uint8_t>(i & 1)});
  Bytes last;
  unsigned count = 0;
  for (Bytes next; !(next = report(tablet)).empty(); ++count) last = next;
  EXPECT_EQ(count, 32u);
  EXPECT_EQ(last, (Bytes{0, 1000 & 0xff, 1000 >> 8, 0, 0, 0}));
}

TEST(HidKeyboard, KeysAndModifiers) {
  HidKeyboard keyboard("keyboard");
  configure(keyboard);
  keyboard.key({.code = KEY_LEFTSHIFT, .down = true});
  keyboard.key({.code = KEY_A, .down = true});
  keyboard.key({.code = KEY_A, .down = false});
  keyboard.key({.code = KEY_LEFTSHIFT, .down = false});
  EXPECT_EQ(report(keyboard), (Bytes{2, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(report(keyboard), (Bytes{2, 0, 4, 0, 0, 0, 0, 0}));
  EXPECT_EQ(report(keyboard), (Bytes{2, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(report(keyboard), (Bytes{0, 0, 0, 0, 0, 0, 0, 0}));
  keyboard.key({.code = KEY_MAX, .down = true});
  EXPECT_TRUE(report(keyboard).empty()) << "no such key";
}

TEST(HidKeyboard, MoreThanSixKeysAreToldAsThat) {
  HidKeyboard keyboard("keyboard");
  configure(keyboard);
  for (uint16_t code = KEY_1; code <= KEY_7; ++code) keyboard.key({.code = code, .down = true});
  for (unsigned i = 0; i < 5; ++i) (void)report(keyboard);
  EXPECT_EQ(report(keyboard), (Bytes{0, 0, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23}));
  EXPECT_EQ(report(keyboard), (Bytes{0, 0, 1, 1, 1, 1, 1, 1}));
  keyboard.key({.code = KEY_1, .down = false});
  EXPECT_EQ(report(keyboard), (Bytes{0, 0, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24}));
}

TEST(HidKeyboard, ClassRequests) {
  HidKeyboard keyboard("keyboard");
  configure(keyboard);
  EXPECT_EQ(control_out(keyboard, {.type = 0x21, .request = 9, .value = 0x200, .index = 0, .length = 0}, {5}),
            Answer::kDone);
  EXPECT_EQ(keyboard.lights(), 5u);
  EXPECT_EQ(control_out(keyboard, {.type = 0x21, .request = 0x0a, .value = 0x1700, .index = 0, .length = 0}),
            Answer::kDone);
  EXPECT_EQ(control_in(keyboard, {.type = 0xa1, .request = 2, .value = 0, .index = 0, .length = 1}),
            Bytes{0x17});
  EXPECT_EQ(control_out(keyboard, {.type = 0x21, .request = 0x0b, .value = 0, .index = 0, .length = 0}),
            Answer::kDone);
  EXPECT_EQ(control_in(keyboard, {.type = 0xa1, .request = 3, .value = 0, .index = 0, .length = 1}),
            Bytes{0});
  keyboard.key({.code = KEY_B, .down = true});
  EXPECT_EQ(control_in(keyboard, {.type = 0xa1, .request = 1, .value = 0x100, .index = 0, .length = 8}),
            (Bytes{0, 0, 5, 0, 0, 0, 0, 0}));
}

TEST(HidKeyboard, AHaltedEndpointStalls) {
  HidKeyboard keyboard("keyboard");
  configure(keyboard);
  keyboard.key({.code = KEY_B, .down = true});
  EXPECT_EQ(control_out(keyboard, {.type = 2, .request = 3, .value = 0, .index = 0x81, .length = 0}),
            Answer::kDone);
  Bytes data(8);
  EXPECT_EQ(keyboard.in(1, data).answer, Answer::kStall);
  EXPECT_EQ(keyboard.in(2, data).answer, Answer::kStall) << "no such endpoint";
  EXPECT_EQ(control_in(keyboard, {.type = 0x82, .request = 0, .value = 0, .index = 0x81, .length = 2}),
            (Bytes{1, 0}));
  EXPECT_EQ(control_out(keyboard, {.type = 2, .request = 1, .value = 0, .index = 0x81, .length = 0}),
            Answer::kDone);
  EXPECT_EQ(keyboard.in(1, data).answer, Answer::kDone);
}

TEST(HidKeyboard, ASnapshotCarriesWhatIsPressed) {
  HidKeyboard keyboard("keyboard");
  configure(keyboard);
  keyboard.key({.code = KEY_LEFTCTRL, .down = true});
  keyboard.key({.code = KEY_C, .down = true});
  StateWriter writer;
  writer.begin("keyboard", 1);
  keyboard.save(writer);
  writer.end();
  HidKeyboard other("keyboard");
  StateReader reader(writer.bytes());
  reader.begin("keyboard");
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_TRUE(other.keyboard_ready());
  (void)report(other);
  EXPECT_EQ(report(other), (Bytes{1, 0, 6, 0, 0, 0, 0, 0}));
  other.key({.code = KEY_C, .down = false});
  EXPECT_EQ(report(other), (Bytes{1, 0, 0, 0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace eidolon::device::usb
