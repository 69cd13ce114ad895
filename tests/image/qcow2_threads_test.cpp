// Several threads on one qcow2 disk, as a controller with several queues has them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_medium.h"
#include "image/memory_file.h"
#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

constexpr uint64_t kPart = 1 << 20, kStep = 6 * 1024;

/// Each has a part of the disk to itself, whose contents it knows; tables and clusters they share.
void work(Medium& medium, unsigned number, std::atomic<unsigned>& wrong) {
  std::mt19937_64 random(number);
  std::vector<char> known(kPart / kStep, '\0');
  for (int i = 0; i < 400; ++i) {
    const uint64_t slot = random() % known.size(), offset = number * kPart + slot * kStep;
    const unsigned what = random() % 8;
    if (what < 4) {
      known[slot] = static_cast<char>('a' + random() % 26);
      if (put(medium, offset, std::string(kStep, known[slot])) != IoStatus::kDone) ++wrong;
    } else if (what == 4) {
      known[slot] = '\0';
      if (medium.write_zeroes(offset, kStep, random() % 2 == 0) != IoStatus::kDone) ++wrong;
    } else if (what == 5) {
      if (medium.flush() != IoStatus::kDone) ++wrong;
    } else if (get(medium, offset, kStep) != std::string(kStep, known[slot])) {
      ++wrong;
    }
  }
  for (uint64_t slot = 0; slot < known.size(); ++slot)
    if (get(medium, number * kPart + slot * kStep, kStep) != std::string(kStep, known[slot])) ++wrong;
}

TEST(Qcow2Threads, NobodySeesAnothersBytes) {
  constexpr unsigned kThreads = 4;
  Disk disk;
  {
    MemoryFile file(disk);
    ASSERT_TRUE(create_qcow2(file, "test", {.size = kThreads * kPart, .cluster_bits = 12}));
  }
  auto file = std::make_unique<MemoryFile>(disk);
  const qcow2::Header header = *qcow2::read_header(*file, "test");
  std::atomic<unsigned> wrong{0};
  {
    const auto medium = *Qcow2Medium::open(std::move(file), "test", header, nullptr, {});
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { work(*medium, i, wrong); });
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(wrong, 0u);
  MemoryFile after(disk);
  const Result<CheckReport> report = check_qcow2(after, "test", header);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->corrupt, 0u) << report->first;
  EXPECT_EQ(report->leaked, 0u);
}

}  // namespace
}  // namespace eidolon::backend::image
