// A disk image of zeros, removed at the end.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace eidolon::boot_test {

/// Named after the test; a test with several names them.
class DiskImage {
 public:
  explicit DiskImage(uintmax_t bytes, const std::string& name = "disk")
      : path_(testing::TempDir() + "eidolon-" + name + "-" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc);
    std::filesystem::resize_file(path_, bytes);
  }
  ~DiskImage() { std::remove(path_.c_str()); }
  DiskImage(const DiskImage&) = delete;
  DiskImage& operator=(const DiskImage&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void write(std::streamoff offset, const std::string& bytes) const {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(offset);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  [[nodiscard]] std::string at(std::streamoff offset, size_t length) const {
    std::string bytes(length, '\0');
    std::ifstream file(path_, std::ios::binary);
    file.seekg(offset);
    file.read(bytes.data(), static_cast<std::streamsize>(length));
    return bytes;
  }

 private:
  std::string path_;
};

}  // namespace eidolon::boot_test
