#include "memory/discard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace eidolon::memory {
namespace {

constexpr size_t kPage = 4096;

/// Four pages of 0x11, each written once.
class Pages {
 public:
  explicit Pages(int file = -1)
      : bytes(static_cast<uint8_t*>(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0), file, 0))) {
    std::memset(bytes, 0x11, 4 * kPage);
  }
  ~Pages() { munmap(bytes, 4 * kPage); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  uint8_t* const bytes;
};

TEST(Discard, WholePagesAndNoOthers) {
  const Pages pages;
  discard({pages.bytes + 1, 3 * kPage});
  EXPECT_EQ(pages.bytes[kPage - 1], 0x11);
  EXPECT_EQ(pages.bytes[kPage], 0);
  EXPECT_EQ(pages.bytes[3 * kPage - 1], 0);
  EXPECT_EQ(pages.bytes[3 * kPage], 0x11);
}

TEST(Discard, LessThanAPageIsNothing) {
  const Pages pages;
  discard({pages.bytes + 1, kPage});
  discard({pages.bytes + kPage, kPage - 1});
  discard({});
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(pages.bytes[i * kPage], 0x11) << i;
}

TEST(Discard, OfAMappedFileLeavesTheFilesBytes) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const std::string text(4 * kPage, 'f');
  ASSERT_EQ(write(fileno(file), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  {
    const Pages pages(fileno(file));
    discard({pages.bytes, kPage});
    EXPECT_EQ(pages.bytes[0], 'f');
    EXPECT_EQ(pages.bytes[kPage], 0x11);
    pages.bytes[0] = 7;
    EXPECT_EQ(pages.bytes[0], 7);
  }
  std::fclose(file);
}

}  // namespace
}  // namespace eidolon::memory
