// Guest memory that can be shared, and what a device that another process serves is connected to.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "device/virtio/device.h"

namespace eidolon::vhost {

class Interrupts final : public device::virtio::Signals {
 public:
  void signal_queue(unsigned /*queue*/) override { ++queue; }
  void signal_config() override { ++config; }
  std::atomic<unsigned> queue{0}, config{0};
};

class VhostTest : public testing::Test {
 protected:
  static constexpr uint64_t kMemory = 0x100000;
  static constexpr memory::GuestPhysical kRings = 0x10000;

  VhostTest() { EXPECT_TRUE(memory->add_region(0, kMemory, memory::RegionKind::kRam)); }

  /// Back ends and devices have threads. False after ten seconds.
  static bool wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  /// As a driver starts it that puts its queues where `places` are.
  static void start(device::virtio::Device& device, uint64_t features,
                    std::initializer_list<device::virtio::RingPlace> places) {
    device.set_status(3);
    device.accept_features(features);
    device.set_status(11);
    unsigned queue = 0;
    for (const device::virtio::RingPlace& wanted : places) {
      device.change_queue(queue, [&](device::virtio::RingPlace& place) { place = wanted; });
      device.enable_queue(queue++);
    }
    device.set_status(15);
    ASSERT_EQ(device.status(), 15);
  }

  const std::string socket = testing::TempDir() + "eidolon-vhost-" + std::to_string(getpid());
  std::unique_ptr<memory::GuestMemory> memory =
      *memory::GuestMemory::create(kMemory, memory::GuestMemory::Backing::kShared);
  device::Dma dma{*memory};
  Interrupts interrupts;
};

}  // namespace eidolon::vhost
