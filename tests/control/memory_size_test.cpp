#include "control/memory_size.h"

#include <gtest/gtest.h>

namespace eidolon::control {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(MemorySize, ReadsWhatUsersWrite) {
  EXPECT_EQ(parse_memory_size("512M").value(), 512 * kMiB);
  EXPECT_EQ(parse_memory_size("2G").value(), 2048 * kMiB);
  EXPECT_EQ(parse_memory_size("1g").value(), 1024 * kMiB);
  EXPECT_EQ(parse_memory_size("64").value(), 64 * kMiB) << "a plain number is MiB";
  EXPECT_EQ(parse_memory_size("2m").value(), kMinimumMemory);
}

TEST(MemorySize, RejectsWhatIsNoSize) {
  for (const char* text : {"", "M", "-1M", "1.5G", "512MB", "512 M", "0x10M", "lots", "1T"}) {
    const Result<uint64_t> size = parse_memory_size(text);
    ASSERT_FALSE(size.has_value()) << text;
    EXPECT_NE(size.error().message.find("512M"), std::string::npos) << "no advice for " << text;
  }
}

TEST(MemorySize, TheSentenceNamesTheOption) {
  EXPECT_TRUE(parse_memory_size("x", "the memory").error().message.starts_with("the memory cannot be 'x'"));
}

TEST(MemorySize, RejectsTooLittle) {
  EXPECT_FALSE(parse_memory_size("0").has_value());
  EXPECT_FALSE(parse_memory_size("1M").has_value());
}

TEST(MemorySize, RejectsMoreThanAGuestCanAddress) {
  EXPECT_FALSE(parse_memory_size("40000G").has_value());
  EXPECT_FALSE(parse_memory_size("17179869184G").has_value()) << "2^34 GiB is zero bytes in 64 bits";
  EXPECT_FALSE(parse_memory_size("99999999999999999999M").has_value());
}

}  // namespace
}  // namespace eidolon::control
