#include "control/gdb_session.h"

#include <gtest/gtest.h>

#include "control/gdb_fake.h"
#include "control/gdb_packets.h"
#include "control/gdb_server.h"

namespace eidolon::control {
namespace {

using Order = GdbTarget::Order;
using Orders = std::vector<Order>;
using Why = GdbTarget::Stop::Why;
constexpr const char* kNothing = "(nothing)";

class GdbSessionTest : public testing::Test {
 protected:
  std::string ask(std::string_view packet) { return session_.answer(packet).value_or(kNothing); }

  GdbFake target_;
  GdbSession session_{target_};
};

TEST_F(GdbSessionTest, BeginsWithTheFirstPacket) {
  EXPECT_FALSE(target_.stands);
  EXPECT_EQ(ask("qSupported:swbreak+;hwbreak+"),
            "PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;swbreak+;hwbreak+");
  EXPECT_TRUE(target_.stands);
  EXPECT_EQ(ask("?"), "T05thread:1;");
  EXPECT_EQ(ask("qAttached"), "1");
}

TEST_F(GdbSessionTest, DoesNotKnowWhatItDoesNotKnow) {
  for (const char* packet : {"!", "R00", "vMustReplyEmpty", "vKill;1", "qSymbol::", "qTStatus", "Qfoo",
                             "Z2,1000,4", "z4,1000,4", "QNonStop:1", "bc", "\xff"})
    EXPECT_EQ(ask(packet), "") << packet;
}

TEST_F(GdbSessionTest, ThreadsAreProcessors) {
  EXPECT_EQ(ask("qfThreadInfo"), "m1,2");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(ask("qC"), "QC1");
  EXPECT_EQ(ask("T2"), "OK");
  EXPECT_EQ(ask("T3"), "E03");
  EXPECT_EQ(ask("Hg2"), "OK");
  EXPECT_EQ(ask("Hg3"), "E03");
  EXPECT_EQ(ask("Hx1"), "E22");
  EXPECT_EQ(ask("qC"), "QC2");
  EXPECT_EQ(from_hex(ask("qThreadExtraInfo,2")), "processor 1: running");
}

TEST_F(GdbSessionTest, RegistersAreThoseOfTheChosenProcessor) {
  target_.state[1].gpr[x86::kRax] = 0x12;
  EXPECT_EQ(ask("p0"), "0000000000000000");
  EXPECT_EQ(ask("Hg2"), "OK");
  EXPECT_EQ(ask("p0"), "1200000000000000");
  EXPECT_EQ(ask("P0=3400000000000000"), "OK");
  EXPECT_EQ(target_.state[1].gpr[x86::kRax], 0x34u);
  const std::string all = ask("g");
  EXPECT_EQ(all.substr(0, 16), "3400000000000000");
  EXPECT_EQ(ask("G56" + all.substr(2)), "OK");
  EXPECT_EQ(target_.state[1].gpr[x86::kRax], 0x56u);
  for (const char* packet : {"p", "pffff", "p0x", "P0", "P0=", "P0=1", "P0=34", "Pffff=00", "G", "Gz", "G00"})
    EXPECT_EQ(ask(packet), "E22") << packet;
  target_.gone = true;
  EXPECT_EQ(ask("g"), "E03");
  EXPECT_EQ(ask("p0"), "E03");
}

TEST_F(GdbSessionTest, MemoryIsReadAndWritten) {
  EXPECT_EQ(ask("M1000,3:010203"), "OK");
  EXPECT_EQ(ask("m1000,4"), "01020300");
  EXPECT_EQ(ask(std::string("X1001,2:\xfe\0", 10)), "OK");
  EXPECT_EQ(ask("m1000,3"), "01fe00");
  EXPECT_EQ(ask("X1000,0:"), "OK");
  EXPECT_EQ(ask("m1ffe,8"), "0000") << "as much as is there";
  EXPECT_EQ(ask("m2000,1"), "E14");
  EXPECT_EQ(ask("M1fff,2:0102"), "E14");
  EXPECT_EQ(ask("m1000,ffffffff").size(), 0x2000u);
  for (const char* packet :
       {"m", "m1000", "m1000,", "m,1", "m1000,1x", "M1000,2:01", "M1000,1:0g", "X1000,2:a"})
    EXPECT_EQ(ask(packet), "E22") << packet;
}

TEST_F(GdbSessionTest, BreakpointsOfBothTypesAreOne) {
  EXPECT_EQ(ask("Z0,100,1"), "OK");
  EXPECT_EQ(ask("Z1,100,1"), "OK");
  EXPECT_EQ(target_.breakpoints.size(), 1u);
  EXPECT_EQ(ask("z0,100,1"), "OK");
  EXPECT_EQ(target_.breakpoints.size(), 1u);
  EXPECT_EQ(ask("z1,100,1"), "OK");
  EXPECT_EQ(target_.breakpoints.size(), 0u);
  EXPECT_EQ(ask("z1,100,1"), "OK") << "that it is not there is what was wanted";
  for (const char* packet : {"Z", "Z0", "Z0,", "Z0,100", "z1,x,1"}) EXPECT_EQ(ask(packet), "E22") << packet;
}

TEST_F(GdbSessionTest, ABreakpointTooManyIsRefusedWithASentence) {
  for (const char* packet : {"Z1,1,1", "Z1,2,1", "Z1,3,1", "Z1,4,1"}) EXPECT_EQ(ask(packet), "OK");
  EXPECT_EQ(ask("Z1,5,1"), "E.there are only 4");
  EXPECT_EQ(target_.said, "there are only 4");
  EXPECT_EQ(session_.breakpoints().size(), 4u);
}

TEST_F(GdbSessionTest, VContChoosesForEachThread) {
  EXPECT_EQ(ask("vCont?"), "vCont;c;C;s;S");
  EXPECT_EQ(ask("vCont;c"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kRun, Order::kRun}));
  EXPECT_EQ(ask("vCont;s:2;c"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kRun, Order::kStep}));
  EXPECT_EQ(ask("vCont;S05:1"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kStep, Order::kStand}));
  EXPECT_EQ(ask("vCont;c:-1"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kRun, Order::kRun}));
  for (const char* packet : {"vCont", "vCont;", "vCont;t", "vCont;c;", "vCont;cx", "vCont;S"})
    EXPECT_EQ(ask(packet), "E22") << packet;
  EXPECT_EQ(ask("vCont;c:9"), "E03");
}

TEST_F(GdbSessionTest, TheElderPacketsRunToo) {
  EXPECT_EQ(ask("Hc2"), "OK");
  EXPECT_EQ(ask("s"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kStand, Order::kStep}));
  EXPECT_EQ(ask("C05;1234"), kNothing);
  EXPECT_EQ(target_.orders, (Orders{Order::kRun, Order::kRun}));
  EXPECT_EQ(target_.state[1].rip, 0x1234u);
  for (const char* packet : {"cx", "C", "C05;x"}) EXPECT_EQ(ask(packet), "E22") << packet;
}

TEST_F(GdbSessionTest, AStopIsTold) {
  (void)ask("qSupported:swbreak+;hwbreak+");
  (void)ask("Z1,ffff1234,1");
  (void)ask("vCont;c");
  EXPECT_TRUE(session_.running());
  EXPECT_EQ(session_.look_for_stop(), std::nullopt);
  target_.stop = {Why::kBreakpoint, 1};
  target_.state[1].rip = 0x1234;  // in the segment of a reset
  EXPECT_EQ(session_.look_for_stop(), "T05thread:2;hwbreak:;");
  EXPECT_FALSE(session_.running());
  EXPECT_EQ(ask("?"), "T05thread:2;hwbreak:;");
  EXPECT_EQ(ask("qC"), "QC2") << "it is looked at from now on";
  (void)ask("Z0,ffff1234,1");
  (void)ask("vCont;s:2");
  target_.stop = {Why::kStepped, 1};
  EXPECT_EQ(session_.look_for_stop(), "T05thread:2;");
  target_.stop = {Why::kStepped, 1};
  EXPECT_EQ(session_.look_for_stop(), std::nullopt) << "it stands already";
}

TEST_F(GdbSessionTest, CtrlCInterrupts) {
  EXPECT_EQ(session_.interrupt(), std::nullopt) << "there is nothing to interrupt";
  (void)ask("c");
  EXPECT_FALSE(target_.stands);
  EXPECT_EQ(session_.interrupt(), "T02thread:1;");
  EXPECT_TRUE(target_.stands);
  (void)ask("c");
  target_.stop = {Why::kBreakpoint, 1};
  EXPECT_EQ(session_.interrupt(), "T05thread:2;") << "it was quicker";
}

TEST_F(GdbSessionTest, DetachingLeavesNothingBehind) {
  (void)ask("Z0,100,1");
  EXPECT_EQ(ask("D"), "OK");
  EXPECT_FALSE(target_.stands);
  EXPECT_TRUE(target_.breakpoints.empty());
  EXPECT_EQ(target_.orders, (Orders{Order::kRun, Order::kRun}));
  EXPECT_FALSE(session_.attached());
}

TEST_F(GdbSessionTest, HangingUpIsDetaching) {
  {
    GdbSession other(target_);
    (void)other.answer("Z0,100,1");
    EXPECT_TRUE(target_.stands);
  }
  EXPECT_FALSE(target_.stands);
  EXPECT_TRUE(target_.breakpoints.empty());
}

TEST_F(GdbSessionTest, KillsAndTellsOfTheEnd) {
  EXPECT_EQ(session_.end(), std::nullopt);
  (void)ask("c");
  EXPECT_EQ(session_.end(), "W00");
  EXPECT_EQ(ask("k"), kNothing);
  EXPECT_TRUE(target_.killed);
}

TEST_F(GdbSessionTest, TheDescriptionComesInParts) {
  const std::string first = ask("qXfer:features:read:target.xml:0,10");
  EXPECT_EQ(first, "m<?xml version=\"1");
  EXPECT_EQ(ask("qXfer:features:read:target.xml:10,7fff").front(), 'l');
  EXPECT_EQ(ask("qXfer:features:read:target.xml:ffffff,10"), "E22");
  EXPECT_EQ(ask("qXfer:features:read:target.xml:0"), "E22");
  EXPECT_EQ(ask("qXfer:features:read:other.xml:0,10"), "E00");
}

TEST(GdbPlace, IsOnThisHost) {
  EXPECT_TRUE(parse_gdb_place("unix:/run/gdb"));
  EXPECT_TRUE(parse_gdb_place("tcp:127.0.0.1:1234"));
  EXPECT_TRUE(parse_gdb_place("tcp:[::1]:1234"));
  EXPECT_EQ(parse_gdb_place("1234").error().message, "--gdb takes unix:PATH or tcp:HOST:PORT, not '1234'");
  EXPECT_NE(parse_gdb_place("tcp:0.0.0.0:1234").error().message.find("ssh -L"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::control
