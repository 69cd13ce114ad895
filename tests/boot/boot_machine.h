// A machine's memory as the loaders meet it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "boot/image.h"
#include "boot/loader.h"
#include "boot/memory_layout.h"

namespace eidolon::boot {

class BootMachine : public ::testing::Test {
 protected:
  void make(uint64_t size) {
    memory_ = std::move(memory::GuestMemory::create(size).value());
    ASSERT_TRUE(add_ram(*memory_, size));
  }
  BootMachine() { make(64 << 20); }

  template <typename T>
  T at(uint64_t address) const {
    T value{};
    EXPECT_TRUE(memory_->read(address, &value, sizeof value)) << std::hex << address;
    return value;
  }
  std::string text(uint64_t address) const {
    std::string result;
    while (const char c = at<char>(address++)) result.push_back(c);
    return result;
  }
  Result<> load(const std::vector<uint8_t>& kernel) {
    input_.kernel = kernel;
    return load_image(input_, *memory_, state_);
  }
  std::string error(const std::vector<uint8_t>& kernel) {
    const auto result = load(kernel);
    return result ? "" : result.error().message;
  }

  std::unique_ptr<memory::GuestMemory> memory_;
  cpu::State state_;
  LoadInput input_;
};

}  // namespace eidolon::boot
