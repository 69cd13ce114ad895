// Which of this host's files a machine that comes along with its disks may overwrite.
#include "machine/copied_disks.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace eidolon::machine {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kBytes = 1 << 20;

class CopiedDisksTest : public ::testing::Test {
 protected:
  CopiedDisksTest() {
    std::ofstream(path, std::ios::trunc);
    std::filesystem::resize_file(path, kBytes);
    config.disks.emplace_back().path = path;
  }
  ~CopiedDisksTest() override { std::filesystem::remove(path); }
  [[nodiscard]] std::string refusal(const Json& described, const std::vector<std::string>& given) const {
    const auto disks = CopiedDisks::open(described, config, given);
    return disks ? "" : disks.error().message;
  }
  const std::string path = ::testing::TempDir() + "copied-disks-" +
                           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  const Json one = Json::array({{{"name", "disk0"}, {"bytes", kBytes}}});
  MachineConfig config;
};

TEST_F(CopiedDisksTest, OnlyWhatIsGivenIsOverwritten) {
  EXPECT_NE(refusal(one, {}).find("would be overwritten"), std::string::npos);
  EXPECT_NE(refusal(one, {path + "2"}).find("would be overwritten"), std::string::npos);
  EXPECT_EQ(refusal(one, {path}), "");
  EXPECT_EQ(refusal(Json::array(), {}), "") << "nothing comes";
}

TEST_F(CopiedDisksTest, NobodyElseHasItMeanwhile) {
  const std::vector<std::string> given = {path};
  auto disks = CopiedDisks::open(one, config, given);
  ASSERT_TRUE(disks);
  EXPECT_NE(refusal(one, given), "");
  ASSERT_TRUE(CopiedDisks::finish(*std::move(disks)));
  EXPECT_EQ(refusal(one, given), "") << "it is the machine's now";
}

TEST_F(CopiedDisksTest, WhatDoesNotFitIsASentence) {
  const std::vector<std::string> given = {path};
  const auto described = [](const Json& name, const Json& bytes) {
    return Json::array({{{"name", name}, {"bytes", bytes}}});
  };
  EXPECT_NE(refusal(described("disk0", kBytes + 512), given).find("make it as large"), std::string::npos);
  for (const Json& hostile :
       {described("disk1", kBytes), described("", kBytes), described(0, kBytes), described("disk0", -1),
        described("disk0", nullptr), Json::array({1}), Json::array({Json::object()})})
    EXPECT_NE(refusal(hostile, given), "") << hostile;
  EXPECT_NE(refusal(Json::array({one[0], one[0]}), given), "") << "the same one twice";
}

TEST_F(CopiedDisksTest, WhatItsMachineMayNotWriteDoesNotCome) {
  config.disks[0].access = DiskConfig::Access::kSnapshot;
  EXPECT_NE(refusal(one, {path}), "");
  config.disks[0].access = DiskConfig::Access::kReadOnly;
  EXPECT_NE(refusal(one, {path}), "");
}

/// The flash with UEFI's variables, which has no interface and no format.
class CopiedVariablesTest : public CopiedDisksTest {
 protected:
  CopiedVariablesTest() { config.firmware.variables_path = path; }
  static Json described(const Json& bytes) {
    return Json::array({{{"name", "uefi-variables"}, {"bytes", bytes}}});
  }
  const std::vector<std::string> given = {path};
};

TEST_F(CopiedVariablesTest, OnlyWhatIsGivenIsOverwritten) {
  EXPECT_NE(refusal(described(kBytes), {}).find("--uefi-vars"), std::string::npos);
  EXPECT_EQ(refusal(described(kBytes), given), "");
}

TEST_F(CopiedVariablesTest, AFileThatIsNotThereIsMade) {
  std::filesystem::remove(path);
  EXPECT_EQ(refusal(described(kBytes), given), "");
  EXPECT_EQ(std::filesystem::file_size(path), kBytes);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
}

TEST_F(CopiedVariablesTest, WhatDoesNotFitIsASentence) {
  EXPECT_NE(refusal(described(kBytes / 2), given).find("not there"), std::string::npos);
  std::filesystem::remove(path);
  for (const Json& hostile : {Json(0), Json(-1), Json((16 << 20) + 1), Json(nullptr)})
    EXPECT_NE(refusal(described(hostile), given), "") << hostile;
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing is made for what cannot be";
  config.firmware.variables_path = "";
  EXPECT_NE(refusal(described(kBytes), given), "") << "a machine without";
}

}  // namespace
}  // namespace eidolon::machine
