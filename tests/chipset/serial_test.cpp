// The 16550A, driven as serial drivers do.
#include "device/chipset/serial.h"

#include <numeric>
#include <string>

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

class SerialTest : public DeviceTest {
 protected:
  void out(unsigned offset, uint8_t value) { uart.io_write(offset, 1, value); }
  uint8_t in(unsigned offset) { return static_cast<uint8_t>(uart.io_read(offset, 1)); }
  size_t type(std::string_view text) {
    return uart.receive({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  void enable_interrupts(uint8_t which) {
    out(4, 0x0b);
    out(1, which);
  }

  std::string sent;
  Serial uart{irq, [this](std::span<const uint8_t> bytes) { sent.append(bytes.begin(), bytes.end()); }};
};

TEST_F(SerialTest, SendsWhatIsWrittenAndIsAlwaysReadyForMore) {
  EXPECT_EQ(in(5), 0x60);
  out(0, 'h');
  out(0, 'i');
  EXPECT_EQ(sent, "hi");
  EXPECT_EQ(in(5), 0x60);
}

TEST_F(SerialTest, DivisorLatchHidesDataAndInterruptEnable) {
  out(1, 0x05);
  out(3, 0x83);
  out(0, 0x34);
  out(1, 0x12);
  EXPECT_EQ(in(0), 0x34);
  EXPECT_EQ(in(1), 0x12);
  out(3, 0x03);
  EXPECT_EQ(in(1), 0x05);
  EXPECT_EQ(sent, "");
}

TEST_F(SerialTest, ProbesAsA16550A) {
  out(7, 0xa5);
  EXPECT_EQ(in(7), 0xa5) << "scratch";
  EXPECT_EQ(in(2), 0x01) << "no FIFO yet";
  out(2, 0x01);
  EXPECT_EQ(in(2), 0xc1);
  out(1, 0xff);
  EXPECT_EQ(in(1), 0x0f);
  out(4, 0xff);
  EXPECT_EQ(in(4), 0x1f);
}

TEST_F(SerialTest, LoopbackShowsModemOutputsAsInputs) {
  out(4, 0x1a);  // LOOP, OUT2, RTS: Linux's probe
  EXPECT_EQ(in(6) & 0xf0, 0x90);
  out(4, 0x15);
  EXPECT_EQ(in(6) & 0xf0, 0x60);
}

TEST_F(SerialTest, ModemDeltasAreClearedByReading) {
  out(4, 0x10);
  EXPECT_EQ(in(6), 0x0b) << "CTS, DSR and DCD fell";
  EXPECT_EQ(in(6), 0x00);
  out(4, 0x14);
  EXPECT_EQ(in(6), 0x40) << "a ring that begins is no event";
  out(4, 0x10);
  EXPECT_EQ(in(6), 0x04) << "a ring that ends is one";
}

TEST_F(SerialTest, LoopbackReturnsBytesAndSendsNothing) {
  out(2, 0x01);
  out(4, 0x10);
  out(0, 'x');
  EXPECT_EQ(in(5) & 1, 1);
  EXPECT_EQ(in(0), 'x');
  EXPECT_EQ(in(5) & 1, 0);
  EXPECT_EQ(sent, "");
}

TEST_F(SerialTest, TransmitterInterruptComesWhenEnabledAndAfterEachByte) {
  enable_interrupts(0x02);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(in(2), 0x02);
  EXPECT_FALSE(irq.level()) << "reading IIR clears it";
  EXPECT_EQ(in(2), 0x01);
  out(0, 'a');
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(in(2), 0x02);
  out(1, 0x00);
  out(1, 0x02);
  EXPECT_EQ(in(2), 0x02) << "enabling it anew raises it anew";
}

TEST_F(SerialTest, InterruptNeedsOut2) {
  out(1, 0x02);
  EXPECT_FALSE(irq.level());
  out(4, 0x08);
  EXPECT_TRUE(irq.level());
  out(4, 0x18);
  EXPECT_FALSE(irq.level()) << "loopback cuts the line";
}

TEST_F(SerialTest, ReceivedBytesInterruptUntilTheyAreRead) {
  out(2, 0x01);
  enable_interrupts(0x01);
  type("ab");
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(in(2), 0xc4);
  EXPECT_EQ(in(0), 'a');
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(in(0), 'b');
  EXPECT_FALSE(irq.level());
  EXPECT_EQ(in(2), 0xc1);
}

TEST_F(SerialTest, BelowTheTriggerLevelItIsATimeout) {
  out(2, 0x81);  // eight bytes
  enable_interrupts(0x01);
  type("abc");
  EXPECT_EQ(in(2), 0xcc);
  type("defgh");
  EXPECT_EQ(in(2), 0xc4);
}

TEST_F(SerialTest, ReceiverComesBeforeTransmitter) {
  enable_interrupts(0x03);
  type("z");
  EXPECT_EQ(in(2), 0x04);
  in(0);
  EXPECT_EQ(in(2), 0x02);
}

TEST_F(SerialTest, NothingIsLostWhenTheGuestIsSlow) {
  out(2, 0x01);
  std::string text(1000, '\0');
  std::iota(text.begin(), text.end(), '\1');
  EXPECT_EQ(type(text), text.size());
  std::string got;
  while ((in(5) & 1) != 0) got.push_back(static_cast<char>(in(0)));
  EXPECT_EQ(got, text);
  EXPECT_EQ(in(5) & 0x02, 0) << "no overrun";
}

TEST_F(SerialTest, BackPressureRefusesAndLaterAsksForMore) {
  unsigned calls = 0;
  uart.set_room_observer([&] { ++calls; });
  const std::string text(3 * Serial::kBacklog, 'q');
  const size_t taken = type(text);
  EXPECT_LT(taken, text.size());
  EXPECT_GE(taken, Serial::kBacklog - Serial::kFifo);
  EXPECT_EQ(type("more"), 1u) << "one byte had moved on into the receiver";
  for (size_t i = 0; i < Serial::kBacklog / 2 + 1; ++i) in(0);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(type("more"), 4u);
}

TEST_F(SerialTest, ABreakIsALineStatusInterrupt) {
  enable_interrupts(0x05);
  uart.receive_break();
  EXPECT_EQ(in(2), 0x06);
  EXPECT_EQ(in(5) & 0x11, 0x11);
  EXPECT_EQ(in(5) & 0x10, 0);
  EXPECT_EQ(in(2), 0x04) << "the zero byte of the break";
}

TEST_F(SerialTest, LoopbackOverrunIsReported) {
  out(4, 0x10);
  out(0, 'a');
  out(0, 'b');
  EXPECT_EQ(in(5) & 0x02, 0x02);
  EXPECT_EQ(in(0), 'b');
}

TEST_F(SerialTest, ClearingTheFifoDropsItsBytes) {
  out(2, 0x01);
  out(4, 0x10);
  out(0, 'a');
  out(2, 0x03);
  EXPECT_EQ(in(5) & 1, 0);
}

TEST_F(SerialTest, SnapshotCarriesTheFifo) {
  out(2, 0x01);
  enable_interrupts(0x01);
  type("xyz");
  in(0);
  StateWriter saved;
  uart.save(saved);
  RecordingLine line;
  Serial other(line, [](std::span<const uint8_t>) {});
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_TRUE(line.level());
  EXPECT_EQ(other.io_read(0, 1), uint64_t{'y'});
  EXPECT_EQ(other.io_read(0, 1), uint64_t{'z'});
  EXPECT_FALSE(line.level());
}

}  // namespace
}  // namespace eidolon::device
