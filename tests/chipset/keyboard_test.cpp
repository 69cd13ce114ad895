// The PS/2 keyboard and mouse behind the 8042, as a driver sees them.
#include <linux/input-event-codes.h>

#include "chipset/fixture.h"
#include "device/chipset/keyboard_controller.h"

namespace eidolon::device {
namespace {

using Bytes = std::vector<uint8_t>;

class Ps2Test : public DeviceTest {
 protected:
  void command(uint8_t value) { kbc.status_port().io_write(0, 1, value); }
  void data(uint8_t value) { kbc.data_port().io_write(0, 1, value); }
  void mouse(uint8_t value) {
    command(0xd4);
    data(value);
  }
  uint8_t status() { return static_cast<uint8_t>(kbc.status_port().io_read(0, 1)); }
  /// Everything that comes.
  Bytes read() {
    Bytes bytes;
    while ((status() & 1) != 0) bytes.push_back(static_cast<uint8_t>(kbc.data_port().io_read(0, 1)));
    return bytes;
  }
  void command_byte(uint8_t value) {
    command(0x60);
    data(value);
  }
  void press(uint16_t key) { kbc.key({.code = key, .down = true}); }
  void release(uint16_t key) { kbc.key({.code = key, .down = false}); }
  Bytes strike(uint16_t key) {
    press(key);
    release(key);
    return read();
  }
  /// Translation off, both interrupts on.
  void raw() { command_byte(0x07); }

  RecordingLine mouse_irq;
  A20Gate a20;
  KeyboardController kbc{irq, mouse_irq, machine, a20};
};

TEST_F(Ps2Test, KeysComeTranslatedAsABiosLeavesIt) {
  EXPECT_EQ(strike(KEY_A), (Bytes{0x1e, 0x9e}));
  EXPECT_EQ(strike(KEY_UP), (Bytes{0xe0, 0x48, 0xe0, 0xc8}));
  EXPECT_EQ(strike(KEY_F7), (Bytes{0x41, 0xc1}));
  EXPECT_EQ(strike(KEY_PAUSE), (Bytes{0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5}));
  EXPECT_EQ(strike(KEY_SYSRQ), (Bytes{0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa}));
}

TEST_F(Ps2Test, ScanCodeSets) {
  raw();
  EXPECT_EQ(strike(KEY_A), (Bytes{0x1c, 0xf0, 0x1c}));
  EXPECT_EQ(strike(KEY_RIGHTCTRL), (Bytes{0xe0, 0x14, 0xe0, 0xf0, 0x14}));
  for (const uint8_t byte : {0xf0, 0x01}) data(byte);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xfa}));
  EXPECT_EQ(strike(KEY_A), (Bytes{0x1e, 0x9e}));
  for (const uint8_t byte : {0xf0, 0x03}) data(byte);
  (void)read();
  EXPECT_EQ(strike(KEY_LEFTCTRL), (Bytes{0x11, 0xf0, 0x11}));
  for (const uint8_t byte : {0xf0, 0x00}) data(byte);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xfa, 0x03}));
  for (const uint8_t byte : {0xfd, 0x11}) data(byte);  // make only
  (void)read();
  EXPECT_EQ(strike(KEY_LEFTCTRL), (Bytes{0x11}));
  for (const uint8_t byte : {0xf0, 0x09}) data(byte);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xfe}));
}

TEST_F(Ps2Test, SystemRequestAndBreak) {
  raw();
  press(KEY_LEFTALT);
  (void)read();
  EXPECT_EQ(strike(KEY_SYSRQ), (Bytes{0x84, 0xf0, 0x84}));
  release(KEY_LEFTALT);
  press(KEY_LEFTCTRL);
  (void)read();
  EXPECT_EQ(strike(KEY_PAUSE), (Bytes{0xe0, 0x7e, 0xe0, 0xf0, 0x7e}));
}

TEST_F(Ps2Test, KeyboardCommands) {
  raw();
  data(0xff);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xaa}));
  data(0xf2);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xab, 0x83}));
  data(0xee);
  EXPECT_EQ(read(), (Bytes{0xee}));
  for (const uint8_t byte : {0xed, 0x07}) data(byte);
  EXPECT_EQ(read(), (Bytes{0xfa, 0xfa}));
  data(0xfe);
  EXPECT_EQ(read(), (Bytes{0xfa})) << "the last byte again";
  data(0x77);
  EXPECT_EQ(read(), (Bytes{0xfe})) << "unknown";
  data(0xf5);
  EXPECT_EQ(read(), (Bytes{0xfa}));
  EXPECT_EQ(strike(KEY_A), Bytes{}) << "disabled";
  data(0xf4);
  (void)read();
  EXPECT_EQ(strike(KEY_A), (Bytes{0x1c, 0xf0, 0x1c}));
}

TEST_F(Ps2Test, ALongTextWaitsAndNothingOfItIsLost) {
  for (int i = 0; i < 500; ++i) {
    press(KEY_B);
    release(KEY_B);
  }
  const Bytes all = read();
  ASSERT_EQ(all.size(), 1000u);
  EXPECT_EQ(all[998], 0x30);
  EXPECT_EQ(all[999], 0xb0);
}

TEST_F(Ps2Test, EachByteIsAnEdgeOfItsOwn) {
  press(KEY_A);
  release(KEY_A);
  EXPECT_EQ(irq.rises, 1u);
  (void)kbc.data_port().io_read(0, 1);
  EXPECT_EQ(irq.rises, 2u);
  (void)kbc.data_port().io_read(0, 1);
  EXPECT_FALSE(irq.level());
  EXPECT_FALSE(mouse_irq.level());
}

TEST_F(Ps2Test, TheMouseIdentifiesItselfByItsKnocks) {
  mouse(0xff);
  EXPECT_EQ(status() & 0x21, 0x21) << "from the second port";
  EXPECT_EQ(read(), (Bytes{0xfa, 0xaa, 0x00}));
  for (const uint8_t byte : {0xf3, 200, 0xf3, 100, 0xf3, 80}) mouse(byte);
  (void)read();
  mouse(0xf2);
  EXPECT_EQ(read(), (Bytes{0xfa, 0x03}));
  for (const uint8_t byte : {0xf3, 200, 0xf3, 200, 0xf3, 80}) mouse(byte);
  (void)read();
  mouse(0xf2);
  EXPECT_EQ(read(), (Bytes{0xfa, 0x04}));
  mouse(0xe9);
  EXPECT_EQ(read(), (Bytes{0xfa, 0x00, 0x02, 80}));
}

TEST_F(Ps2Test, MovementsAreReportedOnceEnabled) {
  raw();
  kbc.pointer({.x = 5, .y = 5});
  EXPECT_EQ(read(), Bytes{});
  mouse(0xf4);
  EXPECT_EQ(read(), (Bytes{0xfa}));
  mouse_irq.rises = 0;
  kbc.pointer({.x = 5, .y = 3, .buttons = input::kLeftButton});
  EXPECT_EQ(mouse_irq.rises, 1u);
  EXPECT_EQ(read(), (Bytes{0x29, 5, 0xfd})) << "up is positive";
  kbc.pointer({.x = -300, .y = 0, .buttons = input::kLeftButton});
  EXPECT_EQ(read(), (Bytes{0x19, 0x01, 0x00, 0x19, 0xd3, 0x00})) << "in two packets";
}

TEST_F(Ps2Test, WheelAndFiveButtons) {
  for (const uint8_t byte : {0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf4}) mouse(byte);
  (void)read();
  kbc.pointer({.wheel = 1, .buttons = input::kExtraButton});
  EXPECT_EQ(read(), (Bytes{0x08, 0, 0, 0x2f}));
}

TEST_F(Ps2Test, ClicksAreNotLostInAQueue) {
  mouse(0xf4);
  (void)read();
  for (int i = 0; i < 20; ++i) {
    kbc.pointer({.buttons = input::kLeftButton});
    kbc.pointer({.buttons = 0});
  }
  EXPECT_EQ(read().size(), 40u * 3);
}

TEST_F(Ps2Test, RemoteAndWrapMode) {
  mouse(0xf0);
  (void)read();
  kbc.pointer({.x = 1, .y = 0});
  EXPECT_EQ(read(), Bytes{});
  mouse(0xeb);
  EXPECT_EQ(read(), (Bytes{0xfa, 0x08, 1, 0}));
  mouse(0xee);
  (void)read();
  mouse(0xf4);
  EXPECT_EQ(read(), (Bytes{0xf4})) << "an echo";
  mouse(0xec);
  EXPECT_EQ(read(), (Bytes{0xfa}));
}

TEST_F(Ps2Test, TheControllersTestsLoopsAndMemory) {
  command(0xa9);
  EXPECT_EQ(read(), (Bytes{0x00}));
  command(0xd3);
  data(0x5a);
  EXPECT_EQ(status() & 0x21, 0x21);
  EXPECT_EQ(read(), (Bytes{0x5a}));
  command(0x75);
  data(0x99);
  command(0x35);
  EXPECT_EQ(read(), (Bytes{0x99}));
}

TEST_F(Ps2Test, AKeyboardThatIsSwitchedOffKeepsItsKeys) {
  command(0xad);
  EXPECT_FALSE(kbc.keyboard_ready());
  press(KEY_A);
  EXPECT_EQ(status() & 1, 0);
  command(0xae);
  EXPECT_EQ(read(), (Bytes{0x1e}));
}

TEST_F(Ps2Test, StateOutlivesASnapshot) {
  for (const uint8_t byte : {0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4}) mouse(byte);
  (void)read();
  press(KEY_LEFTSHIFT);
  StateWriter writer;
  kbc.save(writer);
  (void)read();
  release(KEY_LEFTSHIFT);
  (void)read();
  StateReader reader(writer.bytes());
  kbc.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(read(), (Bytes{0x2a}));
  release(KEY_LEFTSHIFT);
  EXPECT_EQ(read(), (Bytes{0xaa}));
  kbc.pointer({.x = 1});
  EXPECT_EQ(read().size(), 4u);
}

}  // namespace
}  // namespace eidolon::device
