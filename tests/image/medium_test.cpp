// Disks in files: raw, and the overlay over one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "backend/image/overlay_medium.h"
#include "backend/image/parts.h"
#include "backend/image/raw_medium.h"

namespace eidolon::backend::image {
namespace {

using device::storage::IoStatus;
using device::storage::Medium;

class MediumTest : public testing::Test {
 protected:
  MediumTest() {
    std::ofstream(path, std::ios::trunc);
    std::filesystem::resize_file(path, 1 << 20);
  }
  ~MediumTest() override { std::remove(path.c_str()); }

  static IoStatus write(Medium& medium, uint64_t offset, std::string bytes) {
    const iovec part = {bytes.data(), bytes.size()};
    return medium.write(offset, {&part, 1});
  }
  static std::string read(Medium& medium, uint64_t offset, size_t length) {
    std::string first(length / 4, '?'), second(length - length / 4, '?');
    const std::array<iovec, 2> parts = {iovec{first.data(), first.size()},
                                        iovec{second.data(), second.size()}};
    EXPECT_EQ(medium.read(offset, parts), IoStatus::kDone);
    return first + second;
  }
  std::string in_file(std::streamoff offset, size_t length) const {
    std::string bytes(length, '?');
    std::ifstream file(path, std::ios::binary);
    file.seekg(offset);
    file.read(bytes.data(), static_cast<std::streamsize>(length));
    return bytes;
  }

  const std::string path =
      testing::TempDir() + "eidolon-medium-" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(MediumTest, RawReadsAndWritesTheFile) {
  const auto medium = *RawMedium::open(path, false);
  EXPECT_EQ(medium->size(), 1u << 20);
  EXPECT_EQ(write(*medium, 1024, std::string(512, 'a') + std::string(512, 'b')), IoStatus::kDone);
  EXPECT_EQ(medium->flush(), IoStatus::kDone);
  EXPECT_EQ(in_file(1024 + 511, 2), "ab");
  EXPECT_EQ(read(*medium, 1536, 512), std::string(512, 'b'));
}

TEST_F(MediumTest, AtOnceIsTheSameOrNothing) {
  const auto medium = *RawMedium::open(path, false);
  ASSERT_EQ(write(*medium, 0, std::string(8192, 'x')), IoStatus::kDone);
  std::string bytes(4096, '?');
  const iovec part = {bytes.data(), bytes.size()};
  EXPECT_TRUE(medium->read_at_once(0, {&part, 1})) << "it was just written";
  EXPECT_EQ(bytes, std::string(4096, 'x'));
  bytes.assign(4096, 'y');
  if (medium->write_at_once(4096, {&part, 1})) {  // many file systems say no
    EXPECT_EQ(in_file(4095, 2), "xy");
  }
  EXPECT_FALSE(medium->write_at_once((1 << 20) - 2048, {&part, 1})) << "beyond the end";
  EXPECT_EQ(std::filesystem::file_size(path), 1u << 20);
}

TEST_F(MediumTest, InMemoryEverythingIsAtOnce) {
  const std::string there = "/dev/shm/eidolon-medium-at-once";
  if (!std::ofstream(there, std::ios::trunc)) GTEST_SKIP() << "there is no tmpfs";
  std::filesystem::resize_file(there, 1 << 20);
  const auto medium = *RawMedium::open(there, false);
  std::remove(there.c_str());
  std::string bytes(4096, 'y');
  const iovec part = {bytes.data(), bytes.size()};
  EXPECT_TRUE(medium->write_at_once(4096, {&part, 1}));
  bytes.assign(4096, '?');
  EXPECT_TRUE(medium->read_at_once(4096, {&part, 1}));
  EXPECT_EQ(bytes, std::string(4096, 'y'));
  EXPECT_TRUE(medium->read_at_once(65536, {&part, 1}));
  EXPECT_EQ(bytes, std::string(4096, '\0'));
}

TEST_F(MediumTest, DiscardGivesRoomBackAndZeroesAreZeroes) {
  const auto medium = *RawMedium::open(path, false);
  ASSERT_EQ(write(*medium, 0, std::string(1 << 20, 'x')), IoStatus::kDone);
  EXPECT_EQ(medium->discard(65536, 65536), IoStatus::kDone);
  EXPECT_EQ(medium->write_zeroes(4096, 512, false), IoStatus::kDone);
  EXPECT_EQ(medium->write_zeroes(8192, 4096, true), IoStatus::kDone);
  EXPECT_EQ(read(*medium, 4096, 1024), std::string(512, '\0') + std::string(512, 'x'));
  EXPECT_EQ(read(*medium, 8192, 4096), std::string(4096, '\0'));
  EXPECT_EQ(medium->size(), 1u << 20);
}

TEST_F(MediumTest, ASecondWriterIsRefusedAndReadersShare) {
  auto first = *RawMedium::open(path, false);
  const auto second = RawMedium::open(path, false);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
  EXPECT_FALSE(RawMedium::open(path, true));
  first.reset();
  const auto reader = RawMedium::open(path, true);
  EXPECT_TRUE(reader);
  EXPECT_TRUE(RawMedium::open(path, true));
  EXPECT_FALSE(RawMedium::open(path, false));
}

TEST_F(MediumTest, WhatIsNoDiskIsRefusedWithASentence) {
  EXPECT_FALSE(RawMedium::open("/nowhere/disk", false));
  EXPECT_FALSE(RawMedium::open("/", true));
  EXPECT_FALSE(RawMedium::open("/dev/null", true));
  std::filesystem::resize_file(path, 0);
  EXPECT_FALSE(RawMedium::open(path, false));
  std::filesystem::resize_file(path, 1000);
  const auto odd = RawMedium::open(path, false);
  ASSERT_FALSE(odd);
  EXPECT_NE(odd.error().message.find("truncate"), std::string::npos);
}

TEST_F(MediumTest, AFileThatGotShorterIsAnError) {
  const auto medium = *RawMedium::open(path, false);
  std::filesystem::resize_file(path, 4096);
  std::string buffer(512, '?');
  const iovec part = {buffer.data(), buffer.size()};
  EXPECT_EQ(medium->read(8192, {&part, 1}), IoStatus::kFailed);
}

TEST_F(MediumTest, TheOverlayTakesWhatIsWritten) {
  {
    const auto base = *RawMedium::open(path, false);
    ASSERT_EQ(write(*base, 0, std::string(1 << 20, 'x')), IoStatus::kDone);
  }
  const auto medium = *OverlayMedium::create(*RawMedium::open(path, true));
  EXPECT_FALSE(medium->read_only());
  EXPECT_EQ(write(*medium, 1024, std::string(512, 'a')), IoStatus::kDone);
  EXPECT_EQ(medium->discard(4096, 1024), IoStatus::kDone);
  EXPECT_EQ(medium->flush(), IoStatus::kDone);
  EXPECT_EQ(read(*medium, 512, 1536), std::string(512, 'x') + std::string(512, 'a') + std::string(512, 'x'));
  EXPECT_EQ(read(*medium, 3584, 2048),
            std::string(512, 'x') + std::string(1024, '\0') + std::string(512, 'x'));
  EXPECT_EQ(read(*medium, (1 << 20) - 512, 512), std::string(512, 'x'));
  EXPECT_EQ(in_file(1024, 512), std::string(512, 'x')) << "the image stays as it was";
}

TEST_F(MediumTest, TheOverlayKeepsCountOfLargeDisks) {
  std::filesystem::resize_file(path, uint64_t{100} << 20);
  const auto medium = *OverlayMedium::create(*RawMedium::open(path, true));
  constexpr uint64_t kEdge = 16 << 20;
  EXPECT_EQ(write(*medium, kEdge - 1024, std::string(2048, 'e')), IoStatus::kDone);
  EXPECT_EQ(medium->discard(kEdge / 2, uint64_t{64} << 20), IoStatus::kDone);
  EXPECT_EQ(write(*medium, 3 * kEdge - 512, std::string(1024, 'f')), IoStatus::kDone);
  EXPECT_EQ(read(*medium, kEdge - 1024, 2048), std::string(2048, '\0'));
  EXPECT_EQ(read(*medium, 3 * kEdge - 1024, 2048),
            std::string(512, '\0') + std::string(1024, 'f') + std::string(512, '\0'));
}

TEST(Parts, AreCutAnywhere) {
  std::string a = "abc", b = "defg";
  const std::array<iovec, 2> parts = {iovec{a.data(), 3}, iovec{b.data(), 4}};
  EXPECT_EQ(bytes_of(parts), 7u);
  const std::vector<iovec> middle = part_of(parts, 2, 3);
  ASSERT_EQ(middle.size(), 2u);
  EXPECT_EQ(middle[0].iov_len, 1u);
  EXPECT_EQ(static_cast<char*>(middle[1].iov_base)[1], 'e');
  EXPECT_EQ(middle[1].iov_len, 2u);
  EXPECT_TRUE(part_of(parts, 7, 1).empty());
}

}  // namespace
}  // namespace eidolon::backend::image
