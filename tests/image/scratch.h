// What the tests of images share: a folder of their own, short reads and writes, and qemu-img to compare
// with.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "backend/image/open_image.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

using device::storage::IoStatus;
using device::storage::Medium;

inline IoStatus put(Medium& medium, uint64_t offset, std::string bytes) {
  const iovec part = {bytes.data(), bytes.size()};
  return medium.write(offset, {&part, 1});
}
inline std::string get(Medium& medium, uint64_t offset, size_t length) {
  std::string first(length / 3, '?'), second(length - length / 3, '?');
  const std::array<iovec, 2> parts = {iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
  EXPECT_EQ(medium.read(offset, parts), IoStatus::kDone) << "at " << offset;
  return first + second;
}

/// A test with a folder, which is gone afterwards.
class Scratch : public testing::Test {
 protected:
  Scratch() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "eidolon-" + test->test_suite_name() + "-" + test->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  ~Scratch() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// Runs a command in the folder; its exit status.
  int run(const std::string& command) const {
    const int status = std::system(("cd '" + folder_ + "' && " + command + " >>log 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] std::string log() const {
    std::ifstream file(path("log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// False where there is no qemu-img; an error where tests must not be skipped.
  static bool have_qemu() {
    static const bool there = std::system("qemu-img --version >/dev/null 2>&1") == 0;
    if (!there && std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr)
      ADD_FAILURE() << "no qemu-img: install qemu-utils";
    return there;
  }
  [[nodiscard]] std::unique_ptr<Medium> open(const std::string& name, OpenOptions options = {}) const {
    Result<std::unique_ptr<Medium>> medium = open_image(path(name), options);
    EXPECT_TRUE(medium) << medium.error().message;
    return medium ? *std::move(medium) : nullptr;
  }
  /// The sentence with which it is refused.
  [[nodiscard]] std::string refusal(const std::string& name, OpenOptions options = {}) const {
    const Result<std::unique_ptr<Medium>> medium = open_image(path(name), options);
    EXPECT_FALSE(medium);
    return medium ? std::string() : medium.error().message;
  }

 private:
  std::string folder_;
};

}  // namespace eidolon::backend::image
