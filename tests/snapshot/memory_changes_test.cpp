// Differential snapshots: what was written since comes back over what was there, and only over that.
#include "snapshot/memory_changes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "snapshot/mapped_memory.h"
#include "snapshot/memory_index.h"

namespace eidolon::snapshot {
namespace {

constexpr size_t kBytes = 3 << 20;

class Memory : public MappedMemory {
 public:
  Memory() : MappedMemory(kBytes) {}
  void fill(uint32_t page, uint8_t value) {
    std::memset(bytes().data() + page * kPageBytes, value, kPageBytes);
  }
};

class MemoryChanges : public ::testing::TestWithParam<Packing> {
 protected:
  MemoryChanges() {
    std::string name = ::testing::TempDir() + "changesXXXXXX";
    folder_ = mkdtemp(name.data());
    for (uint32_t page = 0; page < kBytes / kPageBytes; page += 2)
      memory_.fill(page, static_cast<uint8_t>(page | 1));
  }
  ~MemoryChanges() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<Bytes> pieces() {
    return {memory_.bytes().first(kBytes / 2), memory_.bytes().subspan(kBytes / 2)};
  }

  Base write_whole(const std::string& name) {
    auto writer = *FileWriter::create(path(name));
    EXPECT_TRUE(write_memory(writer, pieces(), GetParam()));
    EXPECT_TRUE(writer.finish());
    return {.path = path(name), .identity = writer.identity()};
  }
  Base write_since(const std::string& name, const Base& base, const std::vector<PagePlace>& pages) {
    auto writer = *FileWriter::create(path(name));
    EXPECT_TRUE(write_changes(writer, base, pieces(), pages, GetParam()));
    EXPECT_TRUE(writer.finish());
    return {.path = path(name), .identity = writer.identity()};
  }
  /// Into memory of its own, compared with what there is. The error's sentence, or nothing.
  std::string read(const std::string& name) {
    const auto reader = FileReader::open(path(name));
    if (!reader) return reader.error().message;
    const auto bases = open_bases(*reader);
    if (!bases) return bases.error().message;
    Memory memory;
    const std::vector<std::span<uint8_t>> to = {memory.bytes().first(kBytes / 2),
                                                memory.bytes().subspan(kBytes / 2)};
    if (const auto done = read_memory_and_changes(*reader, *bases, to); !done) return done.error().message;
    return std::memcmp(memory.bytes().data(), memory_.bytes().data(), kBytes) == 0 ? ""
                                                                                   : "it is not as it was";
  }

  std::string folder_;
  Memory memory_;
};

/// In the second piece.
constexpr uint32_t kSecond = kBytes / 2 / kPageBytes;

TEST_P(MemoryChanges, ComeBackOverTheirBases) {
  const Base whole = write_whole("whole");
  EXPECT_EQ(read("whole"), "");
  memory_.fill(1, 7);
  memory_.fill(2, 0);
  memory_.fill(kSecond + 5, 9);
  const Base first = write_since("first", whole, {{0, 1}, {0, 2}, {1, 5}});
  EXPECT_EQ(read("first"), "");
  std::vector<PagePlace> many;
  for (uint32_t page = 0; page < 300; ++page) {
    memory_.fill(page, static_cast<uint8_t>(page * 3));
    many.push_back({0, page});
  }
  (void)write_since("second", first, many);
  EXPECT_EQ(read("second"), "");
  EXPECT_EQ(read("first"), "it is not as it was");
  (void)write_since("nothing", {path("second"), FileReader::open(path("second"))->identity()}, {});
  EXPECT_EQ(read("nothing"), "");
}

TEST_P(MemoryChanges, FindABaseThatWasMovedAlong) {
  const Base whole = write_whole("whole");
  memory_.fill(1, 7);
  (void)write_since("first", whole, {{0, 1}});
  std::filesystem::create_directory(path("elsewhere"));
  for (const char* name : {"whole", "first"}) std::filesystem::rename(path(name), path("elsewhere/") + name);
  EXPECT_EQ(read("elsewhere/first"), "");
}

TEST_P(MemoryChanges, AnotherBaseIsNone) {
  const Base whole = write_whole("whole");
  memory_.fill(1, 7);
  (void)write_since("first", whole, {{0, 1}});
  memory_.fill(3, 7);
  (void)write_whole("whole");
  EXPECT_NE(read("first").find("is another one"), std::string::npos) << read("first");
  std::filesystem::remove(path("whole"));
  EXPECT_NE(read("first").find("is not there"), std::string::npos) << read("first");
}

TEST_P(MemoryChanges, AFlippedBitAnywhereIsASentence) {
  const Base whole = write_whole("whole");
  memory_.fill(1, 7);
  (void)write_since("first", whole, {{0, 1}});
  std::string good;
  {
    std::ifstream file(path("first"), std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(file), {});
  }
  for (size_t at = 0; at<good.size(); at += good.size()> 4096 ? 37 : 1) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    std::ofstream(path("first"), std::ios::binary | std::ios::trunc) << bad;
    const std::string said = read("first");
    // Between sections there may be bytes that nobody reads.
    if (said.empty()) continue;
    EXPECT_NE(said, "it is not as it was") << at;
  }
  std::filesystem::resize_file(path("first"), good.size() / 2);
  EXPECT_NE(read("first"), "");
}

INSTANTIATE_TEST_SUITE_P(Packings, MemoryChanges, ::testing::Values(Packing::kPlain, Packing::kPacked));

}  // namespace
}  // namespace eidolon::snapshot
