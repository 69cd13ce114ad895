// Random operations on qcow2 images in memory against a plain array: contents, the consistency of the tables
// at the end, and after a host or a power supply that dies at any write.
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_medium.h"
#include "image/memory_file.h"
#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

constexpr uint64_t kSector = 512;

struct Shape {
  uint32_t version;
  unsigned cluster_bits;
  unsigned refcount_order;
  bool backed;
};

/// The backing file: a fixed pattern, shorter than the disk.
class Pattern final : public Medium {
 public:
  explicit Pattern(uint64_t size) : size_(size) {}
  static uint8_t at(uint64_t offset) { return static_cast<uint8_t>(offset / kSector * 7 + 1); }
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return true; }
  IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    for (const iovec& part : into)
      for (size_t i = 0; i < part.iov_len; ++i) static_cast<uint8_t*>(part.iov_base)[i] = at(offset++);
    return IoStatus::kDone;
  }
  IoStatus write(uint64_t, std::span<const iovec>) override { return IoStatus::kFailed; }
  IoStatus flush() override { return IoStatus::kDone; }
  IoStatus discard(uint64_t, uint64_t) override { return IoStatus::kFailed; }
  IoStatus write_zeroes(uint64_t, uint64_t, bool) override { return IoStatus::kFailed; }

 private:
  const uint64_t size_;
};

class Qcow2Random : public testing::TestWithParam<Shape> {
 protected:
  static constexpr uint64_t kSize = 3 * 1024 * 1024 + 5 * kSector;
  void make() {
    MemoryFile file(disk);
    const Shape& shape = GetParam();
    const Result<> made = create_qcow2(file, "test",
                                       {.size = kSize,
                                        .version = shape.version,
                                        .cluster_bits = shape.cluster_bits,
                                        .refcount_order = shape.refcount_order});
    ASSERT_TRUE(made) << made.error().message;
    model.assign(kSize, 0);
    if (shape.backed)
      for (uint64_t i = 0; i < kBackingSize; ++i) model[i] = Pattern::at(i);
  }
  std::unique_ptr<Qcow2Medium> open(bool read_only = false) {
    auto file = std::make_unique<MemoryFile>(disk, read_only);
    const Result<qcow2::Header> header = qcow2::read_header(*file, "test");
    EXPECT_TRUE(header) << header.error().message;
    std::unique_ptr<Medium> backing;
    if (GetParam().backed) backing = std::make_unique<Pattern>(kBackingSize);
    auto medium = Qcow2Medium::open(std::move(file), "test", *header, std::move(backing),
                                    [](const std::string& sentence) { ADD_FAILURE() << sentence; });
    EXPECT_TRUE(medium) << medium.error().message;
    return medium ? *std::move(medium) : nullptr;
  }
  CheckReport check() {
    MemoryFile file(disk);
    const Result<qcow2::Header> header = qcow2::read_header(file, "test");
    EXPECT_TRUE(header) << header.error().message;
    const Result<CheckReport> report = check_qcow2(file, "test", *header);
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(CheckReport{});
  }
  /// One operation, on the medium and on the model. False if the medium's host has died.
  bool act(Medium& medium) {
    const uint64_t sectors = kSize / kSector;
    const uint64_t first = random() % sectors;
    const uint64_t most = random() % 8 == 0 ? 2048 : 200;
    const uint64_t count = 1 + random() % std::min(most, sectors - first);
    const uint64_t offset = first * kSector, length = count * kSector;
    const unsigned kind = random() % 10;
    IoStatus status = IoStatus::kDone;
    if (kind < 6) {
      std::string bytes(length, static_cast<char>(1 + random() % 255));
      status = put(medium, offset, bytes);
      if (status == IoStatus::kDone)
        std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<ptrdiff_t>(offset));
    } else if (kind < 8) {
      status = medium.write_zeroes(offset, length, kind == 6);
      if (status == IoStatus::kDone) std::fill_n(model.begin() + static_cast<ptrdiff_t>(offset), length, 0);
    } else if (kind == 8) {
      status = medium.discard(offset, length);
      // What a discarded sector reads as is one of two things; the model takes what came of it.
      std::string bytes = get(medium, offset, length);
      for (uint64_t i = 0; i < length; ++i) {
        const auto byte = static_cast<uint8_t>(bytes[i]);
        if (status == IoStatus::kDone && byte == 0) model[offset + i] = 0;
      }
    } else {
      status = medium.flush();
      if (status == IoStatus::kDone) flushed = model;
    }
    return status == IoStatus::kDone;
  }
  void expect_model(Medium& medium) {
    const std::string all = get(medium, 0, kSize);
    const auto difference =
        std::mismatch(model.begin(), model.end(), all.begin(),
                      [](uint8_t one, char other) { return one == static_cast<uint8_t>(other); });
    EXPECT_EQ(difference.first, model.end()) << "differs at " << (difference.first - model.begin());
  }

  static constexpr uint64_t kBackingSize = 2 * 1024 * 1024;
  Disk disk;
  std::vector<uint8_t> model, flushed;
  std::mt19937_64 random{1};
};

TEST_P(Qcow2Random, HoldsWhatWasWrittenAndStaysConsistent) {
  make();
  for (int life = 0; life < 4; ++life) {
    {
      const auto medium = open();
      for (int i = 0; i < 120; ++i) ASSERT_TRUE(act(*medium));
      expect_model(*medium);
    }
    const CheckReport report = check();
    EXPECT_EQ(report.corrupt, 0u) << report.first;
    EXPECT_EQ(report.leaked, 0u);
    expect_model(*open(true));
  }
}

TEST_P(Qcow2Random, AHostThatDiesLeavesAConsistentImage) {
  for (uint64_t round = 0; round < 60; ++round) {
    random.seed(round);
    disk.now.clear();
    disk.durable.clear();
    disk.writes_left = std::numeric_limits<uint64_t>::max();
    make();
    flushed = model;
    const bool power = round % 2 == 0;
    {
      const auto medium = open();
      disk.writes_left = 1 + random() % 250;
      while (act(*medium)) {
      }
    }
    if (power) disk.lose_power(random);
    disk.writes_left = std::numeric_limits<uint64_t>::max();
    const CheckReport report = check();
    EXPECT_EQ(report.corrupt, 0u) << report.first << ", round " << round;
    // It can be used again.
    const auto medium = open();
    ASSERT_TRUE(medium);
    EXPECT_EQ(put(*medium, 0, std::string(kSector, 'x')), IoStatus::kDone);
    EXPECT_EQ(medium->flush(), IoStatus::kDone);
  }
}

TEST_P(Qcow2Random, WhatWasFlushedOutlivesTheHost) {
  for (uint64_t round = 0; round < 30; ++round) {
    random.seed(round);
    disk.now.clear();
    disk.durable.clear();
    disk.writes_left = std::numeric_limits<uint64_t>::max();
    make();
    const std::string kept(64 * kSector, 'k');
    constexpr uint64_t kAt = kSize / 2 / kSector * kSector;
    {
      const auto medium = open();
      for (int i = 0; i < 10; ++i) ASSERT_TRUE(act(*medium));
      ASSERT_EQ(put(*medium, kAt, kept), IoStatus::kDone);
      ASSERT_EQ(medium->flush(), IoStatus::kDone);
      disk.writes_left = random() % 60;
      // Everything but the part that is looked at.
      while (put(*medium, random() % 64 * 16 * kSector, std::string((1 + random() % 32) * kSector, 'o')) ==
                 IoStatus::kDone &&
             medium->discard(random() % 1024 * kSector, 128 * kSector) == IoStatus::kDone &&
             (random() % 4 != 0 || medium->flush() == IoStatus::kDone)) {
      }
    }
    disk.lose_power(random);
    disk.writes_left = std::numeric_limits<uint64_t>::max();
    EXPECT_EQ(check().corrupt, 0u) << check().first;
    EXPECT_EQ(get(*open(true), kAt, kept.size()), kept) << "round " << round;
  }
}

TEST_P(Qcow2Random, ARepairMayBeInterruptedAnywhere) {
  make();
  {
    const auto medium = open();
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(act(*medium));
  }
  // As somebody leaves it who postpones counting and is killed: what is in use counts as free.
  MemoryFile file(disk);
  const qcow2::Header header = *qcow2::read_header(file, "test");
  const std::vector<uint8_t> zeroes(header.cluster_bytes(), 0);
  const uint64_t block = header.cluster_bytes() * 2;  // the first one
  ASSERT_TRUE(write_bytes(file, block, zeroes));
  ASSERT_EQ(file.flush(), IoStatus::kDone);
  ASSERT_GT(check().corrupt, 0u);
  for (uint64_t writes = 0;; ++writes) {
    disk.writes_left = writes;
    const Result<> repaired = repair_qcow2(file, "test", *qcow2::read_header(file, "test"));
    disk.writes_left = std::numeric_limits<uint64_t>::max();
    if (repaired) break;
    disk.lose_power(random);
  }
  const CheckReport report = check();
  EXPECT_EQ(report.corrupt, 0u) << report.first;
  EXPECT_EQ(report.leaked, 0u);
  expect_model(*open());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Qcow2Random,
                         testing::Values(Shape{3, 16, 4, false}, Shape{3, 16, 4, true}, Shape{3, 9, 4, true},
                                         Shape{3, 9, 0, false}, Shape{3, 12, 6, true}, Shape{2, 12, 4, false},
                                         Shape{2, 12, 4, true}));

}  // namespace
}  // namespace eidolon::backend::image
