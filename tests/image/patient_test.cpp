// A host's disk that is full: a small tmpfs where one can be mounted, and a file that says so in any case.
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "backend/image/patient_medium.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_medium.h"
#include "image/memory_file.h"
#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

using namespace std::chrono_literals;

class Patience : public testing::Test {
 protected:
  std::unique_ptr<PatientMedium> open() {
    {
      MemoryFile file(disk);
      EXPECT_TRUE(create_qcow2(file, "test", {.size = 8u << 20}));
    }
    auto file = std::make_unique<MemoryFile>(disk);
    const qcow2::Header header = *qcow2::read_header(*file, "test");
    auto medium = *Qcow2Medium::open(std::move(file), "test", header, nullptr, {});
    return std::make_unique<PatientMedium>(std::move(medium), "test", [this](const std::string& text) {
      std::lock_guard lock(mutex);
      said.push_back(text);
    });
  }
  size_t count_said() {
    std::lock_guard lock(mutex);
    return said.size();
  }
  void set_room(uint64_t writes) {
    std::lock_guard lock(disk.mutex);
    disk.failure = IoStatus::kNoSpace;
    disk.writes_left = writes;
  }
  Disk disk;
  std::mutex mutex;
  std::vector<std::string> said;
};

TEST_F(Patience, AWriteWaitsForRoomAndNothingIsLost) {
  const auto medium = open();
  EXPECT_EQ(put(*medium, 0, std::string(65'536, 'a')), IoStatus::kDone);
  set_room(0);
  std::thread guest([&medium] {
    EXPECT_EQ(put(*medium, 1 << 20, std::string(65'536, 'b')), IoStatus::kDone);
    EXPECT_EQ(medium->flush(), IoStatus::kDone);
  });
  while (count_said() == 0) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(get(*medium, 0, 4), "aaaa") << "reads go on";
  set_room(3);  // a little, and then none again
  medium->retry_now();
  std::this_thread::sleep_for(50ms);
  set_room(1'000'000);
  medium->retry_now();
  guest.join();
  EXPECT_EQ(get(*medium, 1 << 20, 65'536), std::string(65'536, 'b'));
  std::lock_guard lock(mutex);
  ASSERT_GE(said.size(), 2u);
  EXPECT_NE(said.front().find("full"), std::string::npos);
  EXPECT_NE(said.back().find("room again"), std::string::npos);
}

TEST_F(Patience, AMachineThatEndsDoesNotWait) {
  const auto medium = open();
  set_room(0);
  std::thread guest([&medium] { EXPECT_EQ(put(*medium, 0, std::string(512, 'b')), IoStatus::kNoSpace); });
  while (count_said() == 0) std::this_thread::sleep_for(5ms);
  medium->stop_waiting();
  guest.join();
  EXPECT_EQ(medium->flush(), IoStatus::kNoSpace) << "and nothing waits from then on";
}

TEST_F(Patience, OtherFailuresAreToldAtOnce) {
  const auto medium = open();
  set_room(0);
  disk.failure = IoStatus::kFailed;
  EXPECT_EQ(put(*medium, 0, std::string(512, 'b')), IoStatus::kFailed);
  EXPECT_EQ(count_said(), 0u);
}

class FullDisk : public Scratch {};

TEST_F(FullDisk, AFullTmpfsIsWaitedFor) {
  std::filesystem::create_directory(path("small"));
  if (run("mount -t tmpfs -o size=2m none small") != 0) GTEST_SKIP() << "no tmpfs can be mounted here";
  std::ofstream(path("small/ballast")) << std::string(1 << 20, 'x');
  std::ofstream(path("small/disk")).close();
  std::filesystem::resize_file(path("small/disk"), 8u << 20);
  std::mutex mutex;
  std::vector<std::string> said;
  {
    PatientMedium medium(open("small/disk", {.format = Format::kRaw}), "disk", [&](const std::string& text) {
      std::lock_guard lock(mutex);
      said.push_back(text);
    });
    std::thread guest([&medium] { EXPECT_EQ(put(medium, 0, std::string(3u << 19, 'y')), IoStatus::kDone); });
    for (bool told = false; !told; std::this_thread::sleep_for(5ms)) {
      std::lock_guard lock(mutex);
      told = !said.empty();
    }
    std::filesystem::remove(path("small/ballast"));
    guest.join();
    EXPECT_EQ(get(medium, 0, 3u << 19), std::string(3u << 19, 'y'));
  }
  EXPECT_EQ(said.size(), 2u);
  EXPECT_EQ(run("umount small"), 0) << log();
}

}  // namespace
}  // namespace eidolon::backend::image
