// Which format a file is taken for, and formats that are only read, beside qemu-img.
#include <gtest/gtest.h>

#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class FormatTest : public Scratch {
 protected:
  /// A disk with something in it, made by qemu-img with these options, must read as the raw one does.
  void expect_same(const std::string& options) {
    ASSERT_EQ(
        run("(seq 1 300000 | head -c 1500K; head -c 3M /dev/zero; seq 1 100000 | head -c 548K) > plain && "
            "rm -f disk disk-*.vmdk && qemu-img convert -f raw " +
            options + " plain disk"),
        0)
        << log();
    const auto plain = open("plain", {.format = Format::kRaw, .read_only = true});
    const auto disk = open("disk", {.read_only = true});
    ASSERT_TRUE(disk);
    EXPECT_TRUE(disk->read_only());
    ASSERT_GE(disk->size(), plain->size());
    EXPECT_EQ(get(*disk, 0, plain->size()), get(*plain, 0, plain->size())) << options;
    EXPECT_EQ(get(*disk, 1'234'432, 70'144), get(*plain, 1'234'432, 70'144)) << options;
    EXPECT_EQ(put(*disk, 0, std::string(512, 'x')), IoStatus::kFailed);
  }
};

TEST_F(FormatTest, Vmdk) {
  if (!have_qemu()) GTEST_SKIP();
  expect_same("-O vmdk");
  expect_same("-O vmdk -o subformat=streamOptimized");
  expect_same("-O vmdk -o subformat=monolithicFlat");
  expect_same("-O vmdk -o subformat=twoGbMaxExtentSparse");
  EXPECT_NE(refusal("disk").find("only be read"), std::string::npos);
}

TEST_F(FormatTest, Vhdx) {
  if (!have_qemu()) GTEST_SKIP();
  expect_same("-O vhdx");
  expect_same("-O vhdx -o subformat=fixed");
  expect_same("-O vhdx -o block_size=1M");
}

TEST_F(FormatTest, Vdi) {
  if (!have_qemu()) GTEST_SKIP();
  expect_same("-O vdi");
  expect_same("-O vdi -o static=on");
}

TEST_F(FormatTest, ARawDiskThatWasProbedCannotBecomeAnotherFormat) {
  std::ofstream(path("disk")) << std::string(kMiB, '\0');
  std::vector<std::string> said;
  const std::string magic = std::string("QFI\xfb") + std::string(1020, '\0');
  {
    const auto medium =
        open("disk", {.say = [&said](const std::string& sentence) { said.push_back(sentence); }});
    EXPECT_EQ(put(*medium, 0, magic), IoStatus::kFailed);
    EXPECT_EQ(put(*medium, 0, magic), IoStatus::kFailed);
    EXPECT_EQ(put(*medium, 512, magic), IoStatus::kDone) << "elsewhere it means nothing";
    EXPECT_EQ(put(*medium, 0, std::string(1024, 'b')), IoStatus::kDone);
    EXPECT_EQ(get(*medium, 0, 1024), std::string(1024, 'b'));
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("format=raw"), std::string::npos);
  EXPECT_EQ(put(*open("disk", {.format = Format::kRaw}), 0, magic), IoStatus::kDone)
      << "the user has said so";
  EXPECT_EQ(get(*open("disk", {.format = Format::kRaw}), 0, 4), "QFI\xfb");
  EXPECT_NE(refusal("disk").find("qcow2"), std::string::npos);
}

TEST_F(FormatTest, WhatIsNotSupportedIsSaid) {
  std::ofstream(path("vpc")) << "conectix" << std::string(4088, '\0');
  EXPECT_NE(refusal("vpc").find("not supported"), std::string::npos);
  EXPECT_NE(refusal("vpc", {.format = Format::kNbd}).find("names no server"), std::string::npos);
  EXPECT_NE(refusal("vpc", {.format = Format::kVhdx, .read_only = true}).find("damaged"), std::string::npos);
  EXPECT_NE(refusal("vpc", {.format = Format::kVdi, .read_only = true}).find("VDI"), std::string::npos);
  EXPECT_NE(refusal("vpc", {.format = Format::kVmdk, .read_only = true}).find("VMDK"), std::string::npos);
  EXPECT_EQ(refusal("missing").find("not supported"), std::string::npos);
  EXPECT_FALSE(parse_format("qcow"));
  EXPECT_EQ(*parse_format("qcow2"), Format::kQcow2);
}

TEST_F(FormatTest, AVmdkThatNamesWhatIsNotThereIsRefused) {
  std::ofstream(path("disk")) << "# Disk DescriptorFile\nparentCID=ffffffff\nRW 2048 FLAT \"gone.vmdk\" 0\n";
  EXPECT_NE(refusal("disk", {.read_only = true}).find("gone.vmdk"), std::string::npos);
  std::ofstream(path("disk")) << "# Disk DescriptorFile\nparentCID=12345678\nRW 2048 ZERO\n";
  EXPECT_NE(refusal("disk", {.read_only = true}).find("stands on another"), std::string::npos);
  std::ofstream(path("disk")) << "# Disk DescriptorFile\nparentCID=ffffffff\nRW 99999999999999999999 ZERO\n";
  EXPECT_NE(refusal("disk", {.read_only = true}).find("impossible size"), std::string::npos);
  std::ofstream(path("disk")) << "# Disk DescriptorFile\nRW 2048 ZERO\nRW 8 ZERO\n";
  EXPECT_EQ(open("disk", {.read_only = true})->size(), 2056u * 512);
  std::ofstream(path("disk")) << "# Disk DescriptorFile\n";
  EXPECT_NE(refusal("disk", {.read_only = true}).find("no extent"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::backend::image
