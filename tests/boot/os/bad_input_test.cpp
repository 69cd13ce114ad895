// What a user can get wrong: status 2, one sentence on standard error, nothing on standard output.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "boot/os/flat_kernel.h"
#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

/// The sentence, without "eidolon: ".
std::string refusal(std::vector<std::string> options) {
  options.insert(options.begin(), "run");
  GuestProcess program(options);
  EXPECT_EQ(program.wait_for_end(60s), 2) << program.tail();
  EXPECT_EQ(program.output(), "");
  const std::string& errors = program.errors();
  EXPECT_TRUE(errors.starts_with("eidolon: ")) << errors;
  EXPECT_EQ(errors.find('\n'), errors.size() - 1) << "not one line: " << errors;
  return errors;
}

void expect_names(const std::string& sentence, const std::string& what) {
  EXPECT_NE(sentence.find(what), std::string::npos) << "'" << what << "' is not in: " << sentence;
}

/// A file that is removed again.
struct TemporaryFile {
  explicit TemporaryFile(const std::string& content)
      : path(testing::TempDir() + "eidolon-" +
             testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::ofstream(path, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path;
};

TEST(BadInput, MissingKernel) { expect_names(refusal({"--kernel", "/nowhere/vmlinuz"}), "/nowhere/vmlinuz"); }

TEST(BadInput, KernelIsAFolder) { expect_names(refusal({"--kernel", "/"}), "directory"); }

TEST(BadInput, EmptyKernel) {
  const TemporaryFile file("");
  expect_names(refusal({"--kernel", file.path}), file.path);
}

TEST(BadInput, TextIsNoKernel) {
  const TemporaryFile file(std::string(100'000, 'x'));
  expect_names(refusal({"--kernel", file.path}), file.path);
}

TEST(BadInput, KernelCutShort) {
  const std::string whole_path = EIDOLON_GUEST "/vmlinuz";
  if (!std::filesystem::exists(whole_path)) GTEST_SKIP() << "no guest; run scripts/fetch_guest.sh";
  std::string head(100'000, '\0');
  std::ifstream(whole_path, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  const TemporaryFile file(head);
  expect_names(refusal({"--kernel", file.path}), file.path);
}

TEST(BadInput, MissingInitrd) {
  const FlatKernel kernel({0xeb, 0xfe});
  expect_names(refusal({"--kernel", kernel.path(), "--initrd", "/nowhere/initrd"}), "/nowhere/initrd");
}

TEST(BadInput, InitrdThatDoesNotFit) {
  const FlatKernel kernel({0xeb, 0xfe});
  const TemporaryFile initrd("");
  std::filesystem::resize_file(initrd.path, 64u << 20);
  (void)refusal({"--kernel", kernel.path(), "--initrd", initrd.path, "--memory", "16M"});
}

TEST(BadInput, TooLittleMemoryForTheKernel) {
  const std::string kernel = EIDOLON_GUEST "/vmlinuz";
  if (!std::filesystem::exists(kernel)) GTEST_SKIP() << "no guest; run scripts/fetch_guest.sh";
  expect_names(refusal({"--kernel", kernel, "--memory", "8M"}), "--memory");
}

/// As many of each as a machine can have: together they are more than a bus has room for.
std::vector<std::string> with_devices(std::vector<std::string> options, const std::string& disk) {
  for (int i = 0; i < 16; ++i) options.insert(options.end(), {"--disk", disk + ",snapshot"});
  for (int i = 0; i < 8; ++i) options.insert(options.end(), {"--net", "user"});
  for (int i = 0; i < 8; ++i)
    options.insert(options.end(), {"--share", testing::TempDir() + ",tag=t" + std::to_string(i)});
  return options;
}

TEST(BadInput, MoreDevicesThanTheirBusHasRoomFor) {
  const TemporaryFile file(std::string(0x10000, '\xf4'));
  const FlatKernel kernel({0xeb, 0xfe});
  expect_names(refusal(with_devices({"--kernel", kernel.path()}, file.path)), "its PCI bus has room for");
  expect_names(refusal(with_devices({"--firmware", file.path}, file.path)), "its PCI bus has room for");
  expect_names(refusal(with_devices({"--kernel", kernel.path(), "--virtio", "mmio"}, file.path)),
               "virtio on MMIO");
}

TEST(BadInput, MoreMemoryThanTheHostHas) {
  const FlatKernel kernel({0xeb, 0xfe});
  expect_names(refusal({"--kernel", kernel.path(), "--memory", "30000G"}), "--memory");
}

TEST(BadInput, UnknownProcessorModel) {
  const FlatKernel kernel({0xeb, 0xfe});
  expect_names(refusal({"--kernel", kernel.path(), "--cpu", "80386"}), "80386");
}

TEST(BadInput, UnwritableSerialFile) {
  const FlatKernel kernel({0xeb, 0xfe});
  expect_names(refusal({"--kernel", kernel.path(), "--serial", "file:/nowhere/log"}), "/nowhere/log");
}

TEST(BadInput, AMistakeEmptiesNoSerialFile) {
  const TemporaryFile log("precious");
  (void)refusal({"--kernel", "/nowhere/vmlinuz", "--serial", "file:" + log.path});
  EXPECT_EQ(std::filesystem::file_size(log.path), 8u);
}

}  // namespace
}  // namespace eidolon::boot_test
