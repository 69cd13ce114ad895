// The file of a snapshot: what is written comes back, and whatever happened to it gives a sentence.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <random>

#include "snapshot/file_reader.h"
#include "snapshot/file_writer.h"
#include "snapshot/mapped_memory.h"
#include "snapshot/memory_checker.h"
#include "snapshot/memory_reader.h"
#include "snapshot/memory_writer.h"

namespace eidolon::snapshot {

namespace {

class Memory : public MappedMemory {
 public:
  using MappedMemory::MappedMemory;
  void fill(size_t at, size_t length, unsigned seed) {
    std::mt19937 random(seed);
    for (uint8_t& byte : bytes().subspan(at, length)) byte = static_cast<uint8_t>(random() | 1);
  }
};

class Snapshot : public ::testing::TestWithParam<Packing> {
 protected:
  static constexpr size_t kMemory = 32 << 20, kSmall = 64 << 10;

  Snapshot() {
    std::string name = ::testing::TempDir() + "snapshotXXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/machine.snap";
    memory_.fill(0, 4096, 1);
    memory_.fill(5 << 20, 100 << 10, 2);
    memory_.fill(kMemory - 4096, 4096, 3);
    small_.fill(4096, 4096, 4);
  }
  ~Snapshot() override { std::filesystem::remove_all(folder_); }

  Result<> write() {
    auto writer = FileWriter::create(path_);
    if (!writer) return std::unexpected(writer.error());
    const std::vector<Bytes> pieces = {memory_.bytes(), small_.bytes()};
    if (auto done = writer->add("first", kFirst); !done) return done;
    if (auto done = write_memory(*writer, pieces, GetParam()); !done) return done;
    if (auto done = writer->add("last", kLast); !done) return done;
    return writer->finish();
  }
  /// All that a restore does, into memory of its own. The error's sentence, or nothing.
  std::string read() {
    const auto reader = FileReader::open(path_);
    if (!reader) return reader.error().message;
    for (const char* name : {"first", "last"})
      if (const auto bytes = reader->section(name); !bytes) return bytes.error().message;
    Memory memory(kMemory), small(kSmall);
    const std::vector<std::span<uint8_t>> pieces = {memory.bytes(), small.bytes()};
    const auto index = read_memory_index(*reader);
    if (!index) return index.error().message;
    if (auto good = read_memory(*reader, *index, pieces); !good) return good.error().message;
    const std::atomic<bool> stopping{false};
    if (auto good = check_memory(*reader, *index, stopping); !good) return good.error().message;
    EXPECT_TRUE(std::ranges::equal(memory.bytes(), memory_.bytes()));
    EXPECT_TRUE(std::ranges::equal(small.bytes(), small_.bytes()));
    return "";
  }

  void damage(std::streamoff at, uint8_t bits = 1) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ bits));
  }
  [[nodiscard]] size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  [[nodiscard]] uint64_t disk_usage() const {
    struct stat found {};
    stat(path_.c_str(), &found);
    return static_cast<uint64_t>(found.st_blocks) * 512;
  }

  static constexpr uint8_t kFirst[] = {1, 2, 3}, kLast[] = {4, 5, 6, 7};
  std::string folder_, path_;
  Memory memory_{kMemory}, small_{kSmall};
};

INSTANTIATE_TEST_SUITE_P(Either, Snapshot, ::testing::Values(Packing::kPlain, Packing::kPacked),
                         [](const auto& one) { return one.param == Packing::kPlain ? "Plain" : "Packed"; });

TEST_P(Snapshot, ComesBack) {
  ASSERT_TRUE(write());
  EXPECT_EQ(read(), "");
  EXPECT_EQ(files(), 1u);
  const auto reader = FileReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_EQ(*reader->section("last"), std::vector<uint8_t>(std::begin(kLast), std::end(kLast)));
  EXPECT_FALSE(reader->has("middle"));
  EXPECT_NE(reader->section("middle").error().message.find("nothing of 'middle'"), std::string::npos);
}

TEST_P(Snapshot, ZerosTakeNoRoom) {
  ASSERT_TRUE(write());
  EXPECT_LT(disk_usage(), 200u << 10);  // some 110 KiB are not zero
}

TEST_P(Snapshot, OnlyItsOwnerMayReadIt) {
  ASSERT_TRUE(write());
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms(0600));
}

TEST_P(Snapshot, WhatTheGuestWritesAfterwardsIsNotInTheFile) {
  ASSERT_TRUE(write());
  {
    const auto reader = FileReader::open(path_);
    Memory memory(kMemory), small(kSmall);
    const std::vector<std::span<uint8_t>> pieces = {memory.bytes(), small.bytes()};
    ASSERT_TRUE(read_memory(*reader, *read_memory_index(*reader), pieces));
    std::ranges::fill(memory.bytes(), 0xee);
  }
  EXPECT_EQ(read(), "");
}

TEST_P(Snapshot, CutShortItIsRefused) {
  ASSERT_TRUE(write());
  const uint64_t whole = std::filesystem::file_size(path_);
  for (const uint64_t length : {whole - 1, whole / 2, kPreambleBytes, kPreambleBytes - 1, uint64_t{8}}) {
    std::filesystem::resize_file(path_, length);
    EXPECT_NE(read().find("cut short"), std::string::npos) << length << ": " << read();
  }
  std::filesystem::resize_file(path_, 3);
  EXPECT_NE(read().find("no snapshot"), std::string::npos);
  std::filesystem::resize_file(path_, 0);
  EXPECT_NE(read().find("no snapshot"), std::string::npos);
}

TEST_P(Snapshot, EveryFlippedBitIsFound) {
  ASSERT_TRUE(write());
  const auto whole = static_cast<std::streamoff>(std::filesystem::file_size(path_));
  std::mt19937 random(5);
  std::vector<std::streamoff> places = {0, 8, 16, 40, 56, 64, 65, whole - 1, whole - 40, whole - 100};
  // Somewhere in the memory that is stored: holes of a plain file are not damaged by a flipped bit but
  // written.
  const auto reader = FileReader::open(path_);
  const auto index = decode_memory_index(*reader->section(kMemorySection), reader->length(), path_);
  for (const Chunk& chunk : index->chunks)
    places.push_back(static_cast<std::streamoff>(chunk.offset + random() % 64));
  for (const std::streamoff place : places) {
    damage(place, 0x10);
    EXPECT_NE(read(), "") << "byte " << place;
    damage(place, 0x10);
  }
  EXPECT_EQ(read(), "");
}

TEST_P(Snapshot, ANewerFormatSaysSo) {
  ASSERT_TRUE(write());
  std::vector<uint8_t> preamble(kPreambleBytes);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.read(reinterpret_cast<char*>(preamble.data()), kPreambleBytes);
  preamble[8] = kFormatVersion + 1;
  const uint64_t sum = checksum(Bytes(preamble).first(56));
  std::memcpy(preamble.data() + 56, &sum, sizeof sum);
  file.seekp(0);
  file.write(reinterpret_cast<const char*>(preamble.data()), kPreambleBytes);
  file.close();
  EXPECT_NE(read().find("use a newer one"), std::string::npos) << read();
}

TEST_P(Snapshot, OtherMemoryIsRefused) {
  ASSERT_TRUE(write());
  const auto reader = FileReader::open(path_);
  Memory memory(kMemory * 2), small(kSmall);
  const std::vector<std::span<uint8_t>> pieces = {memory.bytes(), small.bytes()};
  EXPECT_FALSE(read_memory(*reader, *read_memory_index(*reader), pieces));
}

TEST_P(Snapshot, AFullDiskLeavesWhatWasThere) {
  ASSERT_TRUE(write());
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little = {.rlim_cur = 100, .rlim_max = before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &little);
  const Result<> written = write();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(written);
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(read(), "");
}

TEST_P(Snapshot, AFolderThatIsNotThereSaysSo) {
  path_ = folder_ + "/none/machine.snap";
  const Result<> written = write();
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("No such file"), std::string::npos);
  EXPECT_NE(read().find("cannot open"), std::string::npos);
}

TEST_P(Snapshot, TheCheckerTellsOfDamageSoonerOrLater) {
  ASSERT_TRUE(write());
  const auto reader = FileReader::open(path_);
  const auto index = read_memory_index(*reader);
  damage(static_cast<std::streamoff>(index->chunks[1].offset));
  std::promise<std::string> sentence;
  MemoryChecker checker(*reader->duplicate(), *index);
  const auto found = checker.watch([&sentence](const Error& error) { sentence.set_value(error.message); });
  if (!found) sentence.set_value(found.error().message);
  EXPECT_NE(sentence.get_future().get().find("damaged in the guest's memory"), std::string::npos);
}

TEST_P(Snapshot, TheCheckerHasNothingToSayOfAWholeFileWhateverHasItsNameNow) {
  ASSERT_TRUE(write());
  const auto reader = FileReader::open(path_);
  auto own = reader->duplicate();
  std::filesystem::remove(path_);
  std::ofstream(path_) << "another file";
  const std::atomic<bool> stopping{false};
  const auto good = check_memory(*own, *read_memory_index(*reader), stopping);
  EXPECT_TRUE(good) << good.error().message;
}

TEST(RunningChecksum, OfPiecesIsThatOfTheWhole) {
  std::vector<uint8_t> bytes(1000);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  RunningChecksum sum;
  sum.add(Bytes(bytes).first(7));
  sum.restart();
  sum.add(Bytes(bytes).first(300));
  sum.add(Bytes(bytes).subspan(300, 1));
  sum.add(Bytes(bytes).subspan(301));
  EXPECT_EQ(sum.value(), checksum(bytes));
}

}  // namespace

}  // namespace eidolon::snapshot
