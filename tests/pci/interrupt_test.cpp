// How a function's interrupts reach the processor: the wire by way of a PIRQ line, MSI and MSI-X.
#include "pci/fixture.h"

namespace eidolon::device::pci {
namespace {

constexpr uint32_t kLevel = 1u << 15;
constexpr uint32_t kMessageAddress = 0xfee00000;

class PciInterrupts : public PciTest {
 protected:
  PciInterrupts() {
    EXPECT_TRUE(place(root, bridge, lpc, kWindows));
    write(kSample, kCommand, 2, kCommandIo | kCommandMemory | kCommandBusMaster);
    table = read(kSample, 0x20) & ~15u;
  }
  void set_entry(unsigned index, uint8_t vector, uint32_t control = 0) {
    mmio.write(table + 16 * index, 4, kMessageAddress);
    mmio.write(table + 16 * index + 4, 4, 0);
    mmio.write(table + 16 * index + 8, 4, vector);
    mmio.write(table + 16 * index + 12, 4, control);
  }
  void enable_msix(uint16_t bits = 0x8000) { write(kSample, capability(kCapabilityMsiX) + 2, 2, bits); }
  /// PIRQ of device 3, pin A: line D.
  static constexpr unsigned kPin = 19;

  uint64_t table = 0;
};

TEST_F(PciInterrupts, TheWireReachesTheIoApicAsALevel) {
  route_pin(kPin, 0x51 | kLevel);
  sample.set_interrupt(true);
  EXPECT_EQ(read(kSample, kStatus, 2) & kStatusInterrupt, kStatusInterrupt);
  EXPECT_EQ(local.acknowledge(), 0x51);
  finish_interrupt();
  EXPECT_EQ(local.acknowledge(), 0x51) << "still asserted";
  sample.set_interrupt(false);
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
  EXPECT_EQ(read(kSample, kStatus, 2) & kStatusInterrupt, 0u);
}

TEST_F(PciInterrupts, TheWireReachesThe8259WhereItIsRouted) {
  sample.set_interrupt(true);
  pic.slave_ports().io_write(0, 1, 0x0a);
  EXPECT_EQ(pic.slave_ports().io_read(0, 1), 1u << (11 - 8)) << "IRR";
  lpc.route(3, 5);
  EXPECT_EQ(pic.slave_ports().io_read(0, 1), 0u);
  pic.master_ports().io_write(0, 1, 0x0a);
  EXPECT_NE(pic.master_ports().io_read(0, 1) & 1u << 5, 0u);
  lpc.route(3, Pirq::kNotRouted);
  EXPECT_EQ(pic.master_ports().io_read(0, 1) & 1u << 5, 0u) << "a request that goes away before it is taken";
}

TEST_F(PciInterrupts, InterruptDisableKeepsTheWireDown) {
  route_pin(kPin, 0x51 | kLevel);
  write(kSample, kCommand, 2, kCommandMemory | kCommandInterruptDisable);
  sample.set_interrupt(true);
  EXPECT_FALSE(local.interrupt_pending());
  EXPECT_NE(read(kSample, kStatus, 2) & kStatusInterrupt, 0u);
  write(kSample, kCommand, 2, kCommandMemory);
  EXPECT_EQ(local.acknowledge(), 0x51);
}

TEST_F(PciInterrupts, SharedWiresAreAnOr) {
  SampleDevice other("other");
  root.add(kSample + 4, 0, other);  // the same line
  route_pin(kPin, 0x51 | kLevel);
  sample.set_interrupt(true);
  other.set_interrupt(true);
  sample.set_interrupt(false);
  EXPECT_EQ(local.acknowledge(), 0x51);
  finish_interrupt();
  EXPECT_EQ(local.acknowledge(), 0x51);
  other.set_interrupt(false);
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(PciInterrupts, AResetTakesTheWireDown) {
  route_pin(kPin, 0x51 | kLevel);
  sample.set_interrupt(true);
  EXPECT_EQ(local.acknowledge(), 0x51);
  sample.reset();
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(PciInterrupts, MsixSendsTheVectorOfItsEntry) {
  set_entry(0, 0x41);
  set_entry(4, 0x45);
  sample.send_message(0);
  EXPECT_FALSE(local.interrupt_pending()) << "not enabled";
  enable_msix();
  EXPECT_TRUE(sample.uses_messages());
  sample.send_message(4);
  EXPECT_EQ(local.acknowledge(), 0x45);
  finish_interrupt();
  sample.send_message(0);
  EXPECT_EQ(local.acknowledge(), 0x41);
  finish_interrupt();
  sample.send_message(5);  // there are five
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(PciInterrupts, MaskedMsixVectorsStayPending) {
  set_entry(1, 0x42, 1);
  enable_msix();
  sample.send_message(1);
  EXPECT_FALSE(local.interrupt_pending());
  EXPECT_EQ(mmio.read(table + 0x800, 8), 2u) << "the pending bits";
  mmio.write(table + 16 + 12, 4, 0);
  EXPECT_EQ(local.acknowledge(), 0x42);
  EXPECT_EQ(mmio.read(table + 0x800, 4), 0u);
  finish_interrupt();
  enable_msix(0xc000);
  sample.send_message(1);
  EXPECT_FALSE(local.interrupt_pending()) << "the whole function is masked";
  enable_msix();
  EXPECT_EQ(local.acknowledge(), 0x42);
}

TEST_F(PciInterrupts, MessagesNeedBusMastering) {
  set_entry(0, 0x41);
  enable_msix();
  write(kSample, kCommand, 2, kCommandMemory);
  sample.send_message(0);
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(PciInterrupts, MessagesSilenceTheWire) {
  route_pin(kPin, 0x51 | kLevel);
  enable_msix();
  sample.set_interrupt(true);
  EXPECT_FALSE(local.interrupt_pending());
  enable_msix(0);
  EXPECT_EQ(local.acknowledge(), 0x51);
}

TEST_F(PciInterrupts, MsixStateComesBackWithASnapshot) {
  set_entry(2, 0x43, 1);
  enable_msix();
  sample.send_message(2);
  StateWriter saved;
  sample.save(saved);
  sample.reset();
  StateReader reader(saved.bytes());
  sample.load(reader);
  mmio.write(table + 32 + 12, 4, 0);
  EXPECT_EQ(local.acknowledge(), 0x43);
}

TEST_F(PciInterrupts, MsiAddsTheVectorToItsData) {
  const unsigned msi = capability(kCapabilityMsi);
  write(kSample, msi + 4, 4, kMessageAddress);
  write(kSample, msi + 12, 2, 0x60);
  write(kSample, msi + 2, 2, 0x21);  // enabled, four vectors
  sample.send_message(3);
  EXPECT_EQ(local.acknowledge(), 0x63);
  finish_interrupt();
  write(kSample, msi + 2, 2, 0x01);  // one vector
  sample.send_message(3);
  EXPECT_EQ(local.acknowledge(), 0x60);
  finish_interrupt();
  write(kSample, msi + 16, 4, 1);
  sample.send_message(0);
  EXPECT_FALSE(local.interrupt_pending());
  EXPECT_EQ(read(kSample, msi + 20), 1u);
  write(kSample, msi + 16, 4, 0);
  EXPECT_EQ(local.acknowledge(), 0x60);
  EXPECT_EQ(read(kSample, msi + 20), 0u);
}

TEST_F(PciInterrupts, AMessageToNowhereIsNoInterrupt) {
  mmio.write(table, 8, 0x1000);
  mmio.write(table + 8, 8, 0x41);
  enable_msix();
  sample.send_message(0);
  EXPECT_FALSE(local.interrupt_pending());
}

TEST(Msi, MessagesSayWhereTheyGo) {
  const auto message = interrupt::msi_message(0xfee0500c, 0x0134);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->destination, 5u);
  EXPECT_TRUE(message->logical);
  EXPECT_EQ(message->mode, interrupt::DeliveryMode::kLowestPriority);
  EXPECT_EQ(message->vector, 0x34);
  EXPECT_FALSE(interrupt::msi_message(0xfed00000, 0x34));
  EXPECT_FALSE(interrupt::msi_message(0x1'fee00000, 0x34));
}

}  // namespace
}  // namespace eidolon::device::pci
