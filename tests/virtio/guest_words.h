// Numbers in guest memory, as a driver and a device see them.
#pragma once

#include <gtest/gtest.h>

#include "memory/guest_memory.h"

namespace eidolon::device::virtio {

class GuestWords {
 public:
  explicit GuestWords(memory::GuestMemory& memory) : memory_(memory) {}

  template <typename T>
  void put(memory::GuestPhysical at, T value) {
    EXPECT_TRUE(memory_.write(at, &value, sizeof value));
  }
  template <typename T>
  [[nodiscard]] T get(memory::GuestPhysical at) const {
    T value{};
    EXPECT_TRUE(memory_.read(at, &value, sizeof value));
    return value;
  }

 protected:
  /// For what the device's threads look at meanwhile.
  [[nodiscard]] uint16_t* word(memory::GuestPhysical at) const {
    uint8_t* bytes = memory_.host(at, 2);
    EXPECT_NE(bytes, nullptr);
    return reinterpret_cast<uint16_t*>(bytes);
  }

 private:
  memory::GuestMemory& memory_;
};

}  // namespace eidolon::device::virtio
