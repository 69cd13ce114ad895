// ACPI power management, the keyboard controller, and the ports that reset or end the machine.
#include "chipset/fixture.h"
#include "device/chipset/acpi_pm.h"
#include "device/chipset/keyboard_controller.h"
#include "device/chipset/reset_ports.h"
#include "memory/io_bus.h"

namespace eidolon::device {
namespace {

class AcpiPmTest : public DeviceTest {
 protected:
  AcpiPm pm{timers, irq, machine};
};

TEST_F(AcpiPmTest, TimerCountsAtItsFrequency) {
  advance(1'000'000'000);
  EXPECT_EQ(pm.io_read(8, 4), 3'579'545u);
  EXPECT_EQ(pm.io_read(9, 1), 3'579'545u >> 8 & 0xff);
}

TEST_F(AcpiPmTest, TwentyFourBitTimerWraps) {
  AcpiPm narrow(timers, irq, machine, 24);
  advance(5'000'000'000);
  EXPECT_EQ(narrow.io_read(8, 4), 5u * 3'579'545 - (1u << 24));
}

TEST_F(AcpiPmTest, TimerStatusFollowsTheTopBit) {
  AcpiPm narrow(timers, irq, machine, 24);
  narrow.io_write(2, 2, 1);
  advance(2'343'000'000);
  EXPECT_FALSE(irq.level());
  advance(1'000'000);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(narrow.io_read(0, 2), 1u);
  narrow.io_write(0, 2, 1);
  EXPECT_FALSE(irq.level());
  EXPECT_EQ(narrow.io_read(0, 2), 0u);
}

TEST_F(AcpiPmTest, S5PowersOffAndOtherStatesDoNot) {
  EXPECT_EQ(pm.io_read(4, 2), 1u) << "SCI_EN";
  pm.io_write(4, 2, 0x2001 | 1u << 10);
  EXPECT_EQ(machine.power_offs, 0u);
  pm.io_write(4, 2, 5u << 10);
  EXPECT_EQ(machine.power_offs, 0u) << "the type alone does nothing";
  pm.io_write(4, 2, 0x2000 | 5u << 10);
  EXPECT_EQ(machine.power_offs, 1u);
  EXPECT_EQ(pm.io_read(4, 2), 1u | 5u << 10) << "SLP_EN reads as zero";
}

TEST_F(AcpiPmTest, PowersOffAsOvmfDoes) {
  pm.io_write(4, 2, 1u);
  EXPECT_EQ(machine.power_offs, 0u);
  pm.io_write(4, 2, 0x2001);
  EXPECT_EQ(machine.power_offs, 1u);
}

TEST_F(AcpiPmTest, PowerButtonRaisesTheSciWhenEnabled) {
  pm.press_power_button();
  EXPECT_FALSE(irq.level());
  pm.io_write(2, 2, 0x100);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(pm.io_read(0, 2), 0x100u);
  pm.io_write(0, 2, 0x100);
  EXPECT_FALSE(irq.level());
}

class KeyboardControllerTest : public DeviceTest {
 protected:
  void command(uint8_t value) { kbc.status_port().io_write(0, 1, value); }
  void data(uint8_t value) { kbc.data_port().io_write(0, 1, value); }
  uint8_t status() { return static_cast<uint8_t>(kbc.status_port().io_read(0, 1)); }
  uint8_t data() { return static_cast<uint8_t>(kbc.data_port().io_read(0, 1)); }
  RecordingLine mouse_irq;
  A20Gate a20;
  KeyboardController kbc{irq, mouse_irq, machine, a20};
};

TEST_F(KeyboardControllerTest, PassesItsSelfTests) {
  EXPECT_EQ(status() & 3, 0);
  command(0xaa);
  EXPECT_EQ(status() & 1, 1);
  EXPECT_EQ(data(), 0x55);
  EXPECT_EQ(status() & 1, 0);
  command(0xab);
  EXPECT_EQ(data(), 0x00);
}

TEST_F(KeyboardControllerTest, CommandByteReadsBackAndGatesTheInterrupt) {
  command(0x60);
  data(0x45);
  command(0x20);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(data(), 0x45);
  EXPECT_FALSE(irq.level());
}

TEST_F(KeyboardControllerTest, PulseAndOutputPortReset) {
  command(0xff);
  EXPECT_EQ(machine.resets, 0u) << "no line is pulsed";
  command(0xfe);
  EXPECT_EQ(machine.resets, 1u);
  command(0xd1);
  data(0xdf);
  EXPECT_EQ(machine.resets, 1u);
  command(0xd1);
  data(0xde);
  EXPECT_EQ(machine.resets, 2u);
}

TEST_F(KeyboardControllerTest, A20BitCanBeSwitched) {
  std::vector<bool> seen;
  a20.set_observer([&seen](bool open) { seen.push_back(open); });
  command(0xdd);
  command(0xd0);
  EXPECT_EQ(data() & 2, 0);
  command(0xdf);
  command(0xd0);
  EXPECT_EQ(data() & 2, 2);
  command(0xd1);
  data(0xdd);
  EXPECT_FALSE(a20.open());
  EXPECT_EQ(seen, (std::vector<bool>{false, true, false})) << "changes only";
}

class ResetPortsTest : public DeviceTest {};

TEST_F(ResetPortsTest, Cf9ResetsOnTheRisingEdgeOfRstCpu) {
  ResetControl control(machine);
  control.io_write(1, 1, 0x02);
  EXPECT_EQ(machine.resets, 0u);
  EXPECT_EQ(control.io_read(1, 1), 0x02u);
  control.io_write(1, 1, 0x06);
  EXPECT_EQ(machine.resets, 1u);
  control.io_write(1, 1, 0x06);
  EXPECT_EQ(machine.resets, 1u);
}

TEST_F(ResetPortsTest, APciConfigurationAddressIsNotAReset) {
  ResetControl control(machine);
  memory::IoBus ports;
  ASSERT_TRUE(ports.attach(ResetControl::kPort, ResetControl::kPorts, control, "reset").has_value());
  ports.write(0xcf8, 4, 0x80000e04);
  EXPECT_EQ(machine.resets, 0u);
  EXPECT_EQ(ports.read(0xcf8, 4), 0xffffffffu) << "there is no PCI";
}

TEST_F(ResetPortsTest, Port92ResetsAndSwitchesA20) {
  A20Gate a20;
  SystemControlPort port(machine, a20);
  EXPECT_EQ(port.io_read(0, 1), 0x02u);
  port.io_write(0, 1, 0x00);
  EXPECT_EQ(machine.resets, 0u);
  EXPECT_FALSE(a20.open());
  a20.set(true);  // by the keyboard controller
  EXPECT_EQ(port.io_read(0, 1), 0x02u);
  port.io_write(0, 1, 0x01);
  EXPECT_EQ(machine.resets, 1u);
}

TEST_F(ResetPortsTest, Port92SavesTheGate) {
  A20Gate a20;
  SystemControlPort port(machine, a20);
  port.io_write(0, 1, 0x40);
  StateWriter writer;
  port.save(writer);
  port.reset();
  EXPECT_TRUE(a20.open());
  StateReader reader(writer.bytes());
  port.load(reader);
  EXPECT_FALSE(a20.open());
  EXPECT_EQ(port.io_read(0, 1), 0x40u);
}

TEST_F(ResetPortsTest, DebugExitPassesItsValueOn) {
  DebugExit port(machine);
  port.io_write(0, 4, 0x12345678);
  EXPECT_EQ(machine.exit_value, 0x12345678u);
}

}  // namespace
}  // namespace eidolon::device
