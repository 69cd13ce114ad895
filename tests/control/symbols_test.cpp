#include "control/symbols.h"

#include <gtest/gtest.h>

#include <sstream>

namespace eidolon::control {
namespace {

Result<Symbols> parse(const std::string& text) {
  std::istringstream stream(text);
  return Symbols::parse(stream, "map");
}

std::string refusal(const std::string& text, const Symbols* symbols) {
  const auto address = parse_address(text, symbols);
  return address ? "(accepted)" : address.error().message;
}

TEST(Symbols, AreFoundByName) {
  const auto symbols =
      parse("ffffffff81000000 T _stext\nffffffff81000040 t helper\n0000000000002000 A cpu_x\n");
  ASSERT_TRUE(symbols);
  EXPECT_EQ(symbols->address_of("helper"), 0xffffffff81000040);
  EXPECT_EQ(symbols->address_of("nobody"), std::nullopt);
  EXPECT_EQ(symbols->address_of("cpu_x"), std::nullopt) << "an absolute symbol is not a place";
}

TEST(Symbols, DescribeAddresses) {
  const auto symbols = parse("1000 T first\n1000 T alias\n1040 t second\n");
  ASSERT_TRUE(symbols);
  EXPECT_EQ(symbols->describe(0x1000), " <first>");
  EXPECT_EQ(symbols->describe(0x103f), " <first+0x3f>");
  EXPECT_EQ(symbols->describe(0x1040), " <second>");
  EXPECT_EQ(symbols->describe(0xfff), "");
  EXPECT_EQ(symbols->describe(0x900000), "") << "too far from any symbol";
}

TEST(Symbols, RefuseWhatIsNoSystemMap) {
  EXPECT_NE(parse("1000 T first\nHello, world.\n").error().message.find("line 2 of 'map'"),
            std::string::npos);
  EXPECT_NE(parse("").error().message.find("no symbols"), std::string::npos);
  EXPECT_NE(Symbols::read("/nowhere/System.map").error().message.find("/nowhere"), std::string::npos);
}

TEST(Address, IsANumberOrASymbol) {
  const auto symbols = parse("ffffffff81000040 t schedule\n");
  ASSERT_TRUE(symbols);
  EXPECT_EQ(*parse_address("0x1234", nullptr), 0x1234u);
  EXPECT_EQ(*parse_address("0xFFFFFFFF81000000", nullptr), 0xffffffff81000000);
  EXPECT_EQ(*parse_address("schedule", &*symbols), 0xffffffff81000040);
  EXPECT_EQ(*parse_address("schedule+0x10", &*symbols), 0xffffffff81000050);
}

TEST(Address, IsRefusedInASentence) {
  const auto symbols = parse("ffffffff81000040 t schedule\n");
  ASSERT_TRUE(symbols);
  EXPECT_NE(refusal("0x12zz", nullptr).find("0x12zz"), std::string::npos);
  EXPECT_NE(refusal("0x11112222333344445", nullptr).find("0x1111222"), std::string::npos);
  EXPECT_NE(refusal("schedule", nullptr).find("--symbols"), std::string::npos);
  EXPECT_NE(refusal("scheduler", &*symbols).find("scheduler"), std::string::npos);
  EXPECT_NE(refusal("schedule+", &*symbols).find("schedule+"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::control
