// A few bytes of 32-bit code as a Multiboot 1 kernel (header with address fields, specification 3.1.3), in a
// file of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

namespace eidolon::boot_test {

class FlatKernel {
 public:
  static constexpr uint32_t kLoadAddress = 0x100000;
  static constexpr uint32_t kEntry = kLoadAddress + 32;  ///< right after the header

  explicit FlatKernel(std::initializer_list<uint8_t> code) : FlatKernel(std::vector<uint8_t>(code)) {}

  explicit FlatKernel(const std::vector<uint8_t>& code) {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->test_suite_name()) + "-" + test->name();
    std::ranges::replace(name, '/', '-');  // of parameterized tests
    path_ = testing::TempDir() + "eidolon-" + name + ".flat";
    constexpr uint32_t kMagic = 0x1badb002;
    constexpr uint32_t kFlags = 1u << 16;
    const auto end = static_cast<uint32_t>(kEntry + code.size());
    std::vector<uint8_t> image;
    for (const uint32_t word :
         {kMagic, kFlags, 0 - kMagic - kFlags, kLoadAddress, kLoadAddress, end, end, kEntry}) {
      for (unsigned shift = 0; shift < 32; shift += 8) image.push_back(static_cast<uint8_t>(word >> shift));
    }
    image.insert(image.end(), code.begin(), code.end());
    // Loaders look at more than a header: a file of a page keeps every one of them happy.
    image.resize(4096);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  }
  ~FlatKernel() { std::remove(path_.c_str()); }
  FlatKernel(const FlatKernel&) = delete;
  FlatKernel& operator=(const FlatKernel&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace eidolon::boot_test
