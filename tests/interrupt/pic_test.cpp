// The 8259 pair, programmed as operating systems do it.
#include "interrupt/pic.h"

#include <gtest/gtest.h>

namespace eidolon::interrupt {
namespace {

class PicTest : public ::testing::Test {
 protected:
  void SetUp() override { initialize(0x01); }

  void initialize(uint8_t icw4) {
    master(0, 0x11);
    master(1, 0x20);
    master(1, 0x04);
    master(1, icw4);
    slave(0, 0x11);
    slave(1, 0x28);
    slave(1, 0x02);
    slave(1, icw4);
    master(1, 0x00);
    slave(1, 0x00);
  }
  void master(unsigned offset, uint8_t value) { pic.master_ports().io_write(offset, 1, value); }
  void slave(unsigned offset, uint8_t value) { pic.slave_ports().io_write(offset, 1, value); }
  uint64_t master_in(unsigned offset) { return pic.master_ports().io_read(offset, 1); }
  uint64_t slave_in(unsigned offset) { return pic.slave_ports().io_read(offset, 1); }
  uint64_t in_service() {
    master(0, 0x0b);
    return master_in(0);
  }
  void pulse(unsigned irq) {
    pic.set_irq(irq, false);
    pic.set_irq(irq, true);
  }

  Pic pic;
};

TEST_F(PicTest, MasksReadBackAndHoldRequests) {
  master(1, 0xfb);
  EXPECT_EQ(master_in(1), 0xfbu);
  pic.set_irq(0, true);
  EXPECT_FALSE(pic.output());
  master(1, 0xfa);
  EXPECT_TRUE(pic.output());
  EXPECT_EQ(pic.acknowledge(), 0x20);
  EXPECT_FALSE(pic.output());
}

TEST_F(PicTest, LowerNumbersComeFirstAndServiceHoldsTheRestBack) {
  pulse(4);
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  EXPECT_FALSE(pic.output());
  EXPECT_EQ(in_service(), 0x02u);
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  master(0, 0x20);
  EXPECT_EQ(in_service(), 0x02u);
  master(0, 0x20);
  EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(PicTest, SlaveComesThroughTheCascade) {
  pulse(12);
  EXPECT_EQ(pic.acknowledge(), 0x2c);
  EXPECT_EQ(in_service(), 0x04u);
  pulse(8);
  EXPECT_FALSE(pic.output()) << "the master still serves the cascade";
  slave(0, 0x20);
  master(0, 0x20);
  EXPECT_TRUE(pic.output());
  EXPECT_EQ(pic.acknowledge(), 0x28);
}

TEST_F(PicTest, SpecialFullyNestedModeLetsTheSlaveNest) {
  initialize(0x11);
  pulse(12);
  EXPECT_EQ(pic.acknowledge(), 0x2c);
  pulse(8);
  ASSERT_TRUE(pic.output());
  EXPECT_EQ(pic.acknowledge(), 0x28);
}

TEST_F(PicTest, AutomaticEoiLeavesNothingInService) {
  initialize(0x03);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x23);
  EXPECT_EQ(in_service(), 0u);
}

TEST_F(PicTest, ALineThatFallsBeforeTheAcknowledgeIsSpurious) {
  pic.set_irq(3, true);
  pic.set_irq(3, false);
  EXPECT_FALSE(pic.output());
  EXPECT_EQ(pic.acknowledge(), 0x27);
  EXPECT_EQ(in_service(), 0u) << "a spurious interrupt needs no EOI";
}

TEST_F(PicTest, AnEdgeCountsOnceAndALevelUntilItFalls) {
  pic.elcr_ports().io_write(1, 1, 0x02);  // IRQ 9
  pic.set_irq(5, true);
  EXPECT_EQ(pic.acknowledge(), 0x25);
  master(0, 0x65);
  EXPECT_FALSE(pic.output());
  pic.set_irq(9, true);
  EXPECT_EQ(pic.acknowledge(), 0x29);
  slave(0, 0x61);
  master(0, 0x62);
  EXPECT_TRUE(pic.output());
  pic.set_irq(9, false);
  EXPECT_FALSE(pic.output());
}

TEST_F(PicTest, ElcrKeepsTheTimerAndKeyboardEdgeTriggered) {
  pic.elcr_ports().io_write(0, 2, 0xffff);
  EXPECT_EQ(pic.elcr_ports().io_read(0, 2), 0xdef8u);
}

TEST_F(PicTest, RotationMovesTheServedLineToTheBottom) {
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  master(0, 0xa0);  // rotate on non-specific EOI
  pulse(0);
  pulse(6);
  EXPECT_EQ(pic.acknowledge(), 0x26);
}

TEST_F(PicTest, SetPriorityNamesTheLowestLine) {
  master(0, 0xc3);  // line 3 is the lowest, so 4 is the highest
  pulse(1);
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(PicTest, SpecialMaskModeLetsLowerLinesThrough) {
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  pulse(5);
  EXPECT_FALSE(pic.output());
  master(1, 0x02);
  master(0, 0x68);
  EXPECT_TRUE(pic.output());
  EXPECT_EQ(pic.acknowledge(), 0x25);
}

TEST_F(PicTest, PollReadsAndAcknowledges) {
  pulse(6);
  master(0, 0x0c);
  EXPECT_EQ(master_in(0), 0x86u);
  EXPECT_EQ(in_service(), 0x40u);
  master(0, 0x0c);
  EXPECT_EQ(master_in(0), 0x00u);
}

TEST_F(PicTest, RequestRegisterCanBeRead) {
  pulse(7);
  master(0, 0x0a);
  EXPECT_EQ(master_in(0), 0x80u);
  pulse(15);
  slave(0, 0x0a);
  EXPECT_EQ(slave_in(0), 0x80u);
}

TEST_F(PicTest, InitializationForgetsRequestsAndService) {
  pulse(1);
  pic.acknowledge();
  pulse(4);
  initialize(0x01);
  EXPECT_FALSE(pic.output());
  EXPECT_EQ(in_service(), 0u);
  EXPECT_FALSE(pic.output()) << "a line that stayed high is not an edge";
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(PicTest, TellsEveryChangeOfItsOutput) {
  std::vector<bool> changes;
  pic.set_output([&](bool level) { changes.push_back(level); });
  pulse(2);  // the cascade is not wired
  pulse(3);
  pulse(3);
  pic.acknowledge();
  EXPECT_EQ(changes, (std::vector<bool>{true, false, true, false}));
}

TEST_F(PicTest, StateSurvivesASnapshot) {
  pulse(1);
  pic.acknowledge();
  pulse(10);
  StateWriter saved;
  pic.save(saved);
  Pic other;
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_FALSE(other.output());
  other.master_ports().io_write(0, 1, 0x20);
  EXPECT_EQ(other.acknowledge(), 0x2a);
}

}  // namespace
}  // namespace eidolon::interrupt
