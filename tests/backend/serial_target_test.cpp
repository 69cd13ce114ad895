#include "backend/serial_target.h"

#include <gtest/gtest.h>

namespace eidolon::backend {
namespace {

TEST(SerialTarget, KnowsItsThreeForms) {
  EXPECT_EQ(parse_serial_target("stdio")->kind, SerialTarget::Kind::kStdio);
  EXPECT_EQ(parse_serial_target("null")->kind, SerialTarget::Kind::kNull);
  const Result<SerialTarget> file = parse_serial_target("file:a:b");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->kind, SerialTarget::Kind::kFile);
  EXPECT_EQ(file->path, "a:b");
}

TEST(SerialTarget, RejectsEverythingElseWithAdvice) {
  for (const char* text : {"", "file:", "file", "tcp:1", "STDIO"}) {
    const Result<SerialTarget> target = parse_serial_target(text);
    ASSERT_FALSE(target.has_value()) << text;
    EXPECT_NE(target.error().message.find("file:PATH"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace eidolon::backend
