// Guest memory that is a file: who sees what is written, and what stands in its way.
#include "memory/file_window.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace eidolon::memory {
namespace {

class FileWindow : public testing::Test {
 protected:
  static constexpr GuestPhysical kAt = 0x80000000;
  static constexpr uint64_t kLength = 0x3000;

  FileWindow() {
    EXPECT_TRUE(file.valid());
    EXPECT_EQ(ftruncate(file.get(), kLength), 0);
    EXPECT_EQ(pwrite(file.get(), "there", 5, 0x1000), 5);
    EXPECT_TRUE(memory->add_region(0, 0x10000, RegionKind::kRam));
  }
  [[nodiscard]] std::string in_file(off_t offset) const {
    std::string text(5, '\0');
    EXPECT_EQ(pread(file.get(), text.data(), text.size(), offset), 5);
    return text;
  }
  [[nodiscard]] std::string in_guest(GuestPhysical address) const {
    std::string text(5, '\0');
    EXPECT_TRUE(memory->read(address, text.data(), text.size()));
    return text;
  }
  FileDescriptor file{memfd_create("window", MFD_CLOEXEC)};
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(0x10000 + 2 * kLength);
};

TEST_F(FileWindow, IsTheFileBothWays) {
  ASSERT_TRUE(add_file_window(*memory, kAt, kLength, file.get(), FileUse::kShared));
  EXPECT_EQ(in_guest(kAt + 0x1000), "there");
  ASSERT_TRUE(memory->write(kAt + 0x2ffb, "guest", 5));
  EXPECT_EQ(in_file(0x2ffb), "guest");
  EXPECT_FALSE(memory->locate(kAt + kLength));
  EXPECT_EQ(memory->ram_bytes(), 0x10000u) << "it is no part of the RAM";
  ASSERT_EQ(memory->map().size(), 2u);
  EXPECT_EQ(memory->map()[1].kind, RegionKind::kRam);
}

TEST_F(FileWindow, IsRomIfItIsOnlyRead) {
  ASSERT_TRUE(add_file_window(*memory, kAt, kLength, file.get(), FileUse::kReadOnly));
  EXPECT_EQ(in_guest(kAt + 0x1000), "there");
  EXPECT_FALSE(memory->write(kAt, "guest", 5));
  ASSERT_EQ(memory->map().size(), 2u);
  EXPECT_EQ(memory->map()[1].kind, RegionKind::kRom);
  ASSERT_TRUE(memory->load(kAt, "guest", 5));
  EXPECT_EQ(in_file(0), std::string(5, '\0')) << "whoever writes nevertheless does not reach the file";
}

TEST_F(FileWindow, IsRefusedWhereItCannotBe) {
  EXPECT_FALSE(add_file_window(*memory, 0xf000, kLength, file.get(), FileUse::kShared)) << "over RAM";
  EXPECT_FALSE(add_file_window(*memory, kAt, kLength, -1, FileUse::kShared)) << "no file";
  EXPECT_FALSE(add_file_window(*memory, kAt, kLength, file.get(), FileUse::kShared))
      << "the capacity is used up";
}

}  // namespace
}  // namespace eidolon::memory
