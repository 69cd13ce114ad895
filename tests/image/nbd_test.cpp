// Disks of an NBD server: nbdkit, which forgets them, or serves a file.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

using namespace std::chrono_literals;
constexpr uint64_t kMiB = 1 << 20;

class NbdTest : public Scratch {
 protected:
  void SetUp() override {
    if (std::system("nbdkit --version >/dev/null 2>&1") == 0) return;
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no nbdkit: install it";
    GTEST_SKIP() << "no nbdkit";
  }
  void TearDown() override { stop(); }

  void start(const std::string& options = {}) {
    ASSERT_EQ(
        run("nbdkit -U " + path("socket") + " -P " + path("pid") + " " + options + " file " + path("disk")),
        0)
        << log();
    for (int tries = 0; tries < 200 && !std::filesystem::exists(path("pid")); ++tries)
      std::this_thread::sleep_for(50ms);
    std::ifstream(path("pid")) >> server_;
    ASSERT_GT(server_, 1);
  }
  /// Only the server that this test has started.
  void stop() {
    if (server_ <= 1) return;
    kill(server_, SIGKILL);  // asked kindly, it would wait for its clients
    for (int tries = 0; tries < 200 && kill(server_, 0) == 0; ++tries) std::this_thread::sleep_for(50ms);
    server_ = -1;
    std::filesystem::remove(path("pid"));
    std::filesystem::remove(path("socket"));
  }
  [[nodiscard]] std::unique_ptr<Medium> connect(bool read_only = false) {
    Result<std::unique_ptr<Medium>> medium =
        open_image(uri(), {.read_only = read_only, .say = [this](const std::string& text) {
                             std::lock_guard lock(mutex_);
                             said_ += text + "\n";
                           }});
    EXPECT_TRUE(medium) << medium.error().message;
    return medium ? *std::move(medium) : nullptr;
  }
  [[nodiscard]] std::string uri() const { return "nbd+unix:///?socket=" + path("socket"); }
  [[nodiscard]] std::string said() {
    std::lock_guard lock(mutex_);
    return said_;
  }
  void make_disk() const {
    std::ofstream file(path("disk"), std::ios::binary);
    file.close();
    std::filesystem::resize_file(path("disk"), 8 * kMiB);
  }

 private:
  pid_t server_ = -1;
  std::mutex mutex_;
  std::string said_;
};

TEST_F(NbdTest, ReadsWritesAndClears) {
  make_disk();
  start();
  const auto medium = connect();
  ASSERT_TRUE(medium);
  EXPECT_EQ(medium->size(), 8 * kMiB);
  EXPECT_FALSE(medium->read_only());
  EXPECT_EQ(put(*medium, 512, std::string(6 * kMiB, 'n')), IoStatus::kDone) << "in several requests";
  EXPECT_EQ(medium->write_zeroes(kMiB, kMiB, true), IoStatus::kDone);
  EXPECT_EQ(medium->discard(2 * kMiB, kMiB), IoStatus::kDone);
  EXPECT_EQ(medium->flush(), IoStatus::kDone);
  EXPECT_EQ(get(*medium, 0, 1024), std::string(512, '\0') + std::string(512, 'n'));
  EXPECT_EQ(get(*medium, kMiB - 512, 1024), std::string(512, 'n') + std::string(512, '\0'));
  EXPECT_EQ(get(*medium, 4 * kMiB, 2 * kMiB), std::string(2 * kMiB, 'n'));
}

TEST_F(NbdTest, WhatOnlyReadsIsNotWritten) {
  make_disk();
  start("-r");
  EXPECT_NE(open_image(uri(), {}).error().message.find("lets nobody write"), std::string::npos);
  const auto medium = connect(true);
  ASSERT_TRUE(medium);
  EXPECT_EQ(put(*medium, 0, std::string(512, 'x')), IoStatus::kFailed);
  EXPECT_EQ(get(*medium, 0, 4), std::string(4, '\0'));
}

TEST_F(NbdTest, NobodyThereIsASentence) {
  const auto medium = open_image(uri(), {});
  ASSERT_FALSE(medium);
  EXPECT_NE(medium.error().message.find("see whether the server runs"), std::string::npos)
      << medium.error().message;
}

TEST_F(NbdTest, AServerThatComesBackIsUsedAgain) {
  make_disk();
  start();
  const auto medium = connect();
  ASSERT_TRUE(medium);
  EXPECT_EQ(put(*medium, 0, std::string(4096, 'a')), IoStatus::kDone);
  stop();
  std::thread guest(
      [&medium] { EXPECT_EQ(put(*medium, 4096, std::string(4096, 'b')), IoStatus::kDone) << "it waited"; });
  std::this_thread::sleep_for(600ms);
  start();
  guest.join();
  EXPECT_EQ(get(*medium, 0, 8192), std::string(4096, 'a') + std::string(4096, 'b'));
  EXPECT_NE(said().find("is gone"), std::string::npos);
  EXPECT_NE(said().find("is back"), std::string::npos);
}

TEST_F(NbdTest, AMachineThatEndsDoesNotWaitForAServer) {
  make_disk();
  start();
  const auto medium = connect();
  ASSERT_TRUE(medium);
  stop();
  std::thread guest([&medium] { EXPECT_EQ(put(*medium, 0, std::string(4096, 'b')), IoStatus::kFailed); });
  std::this_thread::sleep_for(600ms);
  medium->stop_waiting();
  guest.join();
  EXPECT_EQ(medium->flush(), IoStatus::kFailed);
}

}  // namespace
}  // namespace eidolon::backend::image
