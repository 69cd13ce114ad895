#include "control/gdb_packets.h"

#include <gtest/gtest.h>

#include <vector>

namespace eidolon::control {
namespace {

using Kind = GdbPacketReader::Kind;

std::vector<Kind> kinds_of(GdbPacketReader& reader, std::string_view bytes) {
  std::vector<Kind> kinds;
  for (const char byte : bytes)
    if (const auto kind = reader.put(static_cast<uint8_t>(byte))) kinds.push_back(*kind);
  return kinds;
}

TEST(GdbPackets, ComeWithChecksums) {
  GdbPacketReader reader;
  EXPECT_EQ(kinds_of(reader, "+$g#67"), (std::vector{Kind::kAck, Kind::kPacket}));
  EXPECT_EQ(reader.text(), "g");
  EXPECT_EQ(kinds_of(reader, "$g#68"), std::vector{Kind::kCorrupt});
  EXPECT_EQ(kinds_of(reader, "$g#zz"), std::vector{Kind::kCorrupt});
  EXPECT_EQ(kinds_of(reader, "noise\x03-"), (std::vector{Kind::kInterrupt, Kind::kNack}));
}

TEST(GdbPackets, AreEscaped) {
  const std::string text = "X0,4:$#}*\x03";
  const std::string sent = gdb_packet(text);
  EXPECT_EQ(sent.substr(0, 13), "$X0,4:}\x04}\x03}]}");
  GdbPacketReader reader;
  EXPECT_EQ(kinds_of(reader, sent), std::vector{Kind::kPacket});
  EXPECT_EQ(reader.text(), text);
}

TEST(GdbPackets, BeginAnewWhereOneWasCutOff) {
  GdbPacketReader reader;
  EXPECT_EQ(kinds_of(reader, "$mffff$g#67"), std::vector{Kind::kPacket});
  EXPECT_EQ(reader.text(), "g");
}

TEST(GdbPackets, HaveAnEnd) {
  GdbPacketReader reader;
  EXPECT_TRUE(kinds_of(reader, "$" + std::string(GdbPacketReader::kLongest, 'x')).empty());
  EXPECT_EQ(kinds_of(reader, "x"), std::vector{Kind::kTooLong});
}

TEST(GdbPackets, NumbersAreHexadecimal) {
  std::string_view text = "1fF,";
  EXPECT_EQ(take_number(text), 0x1ffu);
  EXPECT_EQ(text, ",");
  text = "ffffffffffffffff";
  EXPECT_EQ(take_number(text), ~uint64_t{0});
  text = "10000000000000000";
  EXPECT_EQ(take_number(text), std::nullopt);
  text = "-1";
  EXPECT_EQ(take_number(text), std::nullopt);
  EXPECT_EQ(from_hex("00fF"), std::string("\x00\xff", 2));
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
  EXPECT_EQ(to_hex(std::string("\x00\xff", 2)), "00ff");
}

}  // namespace
}  // namespace eidolon::control
