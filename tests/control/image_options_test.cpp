// `eidolon image` as it is typed.
#include <gtest/gtest.h>

#include "control/command_line.h"
#include "control/exit_status.h"

namespace eidolon::control {
namespace {

using backend::image::Format;
using Action = ImageRequest::Action;

Request parse(const std::vector<const char*>& arguments) { return parse_command_line(arguments); }

ImageRequest parsed(const std::vector<const char*>& arguments) {
  const Request request = parse(arguments);
  const auto* image = std::get_if<ImageRequest>(&request);
  if (image == nullptr) {
    ADD_FAILURE() << std::get<Finished>(request).error;
    return {};
  }
  return *image;
}

std::string refused(const std::vector<const char*>& arguments) {
  const Request request = parse(arguments);
  const auto* finished = std::get_if<Finished>(&request);
  EXPECT_TRUE(finished != nullptr && finished->status == kExitUsage);
  return finished != nullptr ? finished->error : "";
}

TEST(ImageOptions, CreateTakesASizeOrABackingFile) {
  const ImageRequest sized = parsed({"image", "create", "--size", "10G", "disk"});
  EXPECT_EQ(sized.action, Action::kCreate);
  EXPECT_EQ(sized.path, "disk");
  EXPECT_EQ(sized.size, uint64_t{10} << 30);
  EXPECT_EQ(sized.format, Format::kQcow2);
  const ImageRequest backed =
      parsed({"image", "create", "--backing", "base", "--backing-format", "raw", "disk"});
  EXPECT_EQ(backed.backing, "base");
  EXPECT_EQ(backed.backing_format, Format::kRaw);
  EXPECT_FALSE(backed.size);
  EXPECT_NE(refused({"image", "create", "disk"}).find("--size"), std::string::npos);
  EXPECT_NE(refused({"image", "create", "--size", "1G", "--format", "vmdk", "disk"}).find("cannot be made"),
            std::string::npos);
  EXPECT_NE(
      refused({"image", "create", "--size", "1G", "--format", "raw", "--backing", "b", "disk"}).find("raw"),
      std::string::npos);
  EXPECT_NE(refused({"image", "create", "--size", "1G", "--backing-format", "raw", "disk"}).find("--backing"),
            std::string::npos);
}

TEST(ImageOptions, TheOthers) {
  const ImageRequest convert = parsed({"image", "convert", "--from", "vmdk", "--format", "raw", "a", "b"});
  EXPECT_EQ(convert.action, Action::kConvert);
  EXPECT_EQ(convert.path, "a");
  EXPECT_EQ(convert.target, "b");
  EXPECT_EQ(convert.from, Format::kVmdk);
  EXPECT_EQ(convert.format, Format::kRaw);
  EXPECT_TRUE(parsed({"image", "info", "--json", "a"}).json);
  EXPECT_TRUE(parsed({"image", "check", "--repair", "a"}).repair);
  EXPECT_FALSE(refused({"image"}).empty());
  EXPECT_FALSE(refused({"image", "shrink", "a"}).empty());
}

TEST(ImageOptions, Sizes) {
  EXPECT_EQ(*parse_disk_size("512"), 512u);
  EXPECT_EQ(*parse_disk_size("64k"), 65'536u);
  EXPECT_EQ(*parse_disk_size("3T"), uint64_t{3} << 40);
  for (const char* wrong : {"", "0", "511", "10X", "G", "-1G", "99999999999T", "1GG"})
    EXPECT_FALSE(parse_disk_size(wrong)) << wrong;
}

}  // namespace
}  // namespace eidolon::control
