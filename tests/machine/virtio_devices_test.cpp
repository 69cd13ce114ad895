// Where the doorbells of virtio devices are that are not on the PCI bus.
#include "machine/virtio_devices.h"

#include "boot/memory_layout.h"
#include "pci/fixture.h"
#include "vhost/fake_back_end.h"

namespace eidolon::machine {
namespace {

/// Takes all but those of `refused`.
class Taker final : public memory::Doorbells {
 public:
  bool connect(const memory::Doorbell& doorbell) override {
    if (doorbell.value == refused) return false;
    taken.emplace_back(doorbell.address, doorbell.value.value_or(99));
    return true;
  }
  void disconnect(const memory::Doorbell& doorbell) override {
    EXPECT_EQ(std::erase(taken, std::pair(doorbell.address, doorbell.value.value_or(99))), 1u);
  }
  std::vector<std::pair<uint64_t, uint32_t>> taken;
  std::optional<uint32_t> refused = 99;
};

class VirtioOnMmio : public device::pci::PciTest {
 protected:
  static constexpr uint64_t kMemory = 0x100000;
  VirtioOnMmio() {
    EXPECT_TRUE(shared->add_region(0, kMemory, memory::RegionKind::kRam));
    back_end.start();
    devices.use_mmio(*shared);
    devices.add({}, root);
    EXPECT_TRUE(devices.add_served_disk(root, 0, socket, 2, *shared));
  }
  ~VirtioOnMmio() override { devices.remove_all(); }

  const std::string socket = testing::TempDir() + "eidolon-on-mmio-" + std::to_string(getpid());
  std::unique_ptr<memory::GuestMemory> shared =
      *memory::GuestMemory::create(kMemory, memory::GuestMemory::Backing::kShared);
  vhost::FakeDisk bytes;
  vhost::FakeBackEnd back_end{socket, bytes};
  VirtioDevices devices;
  Taker taker;
};

TEST_F(VirtioOnMmio, EachQueueOfAServedDeviceHasADoorbell) {
  devices.give_doorbells(&taker);
  const uint64_t at = boot::virtio_base(1) + 0x50;  // behind the random numbers
  EXPECT_EQ(taker.taken, (std::vector<std::pair<uint64_t, uint32_t>>{{at, 0}, {at, 1}}));
  devices.give_doorbells(nullptr);
  EXPECT_TRUE(taker.taken.empty());
}

TEST_F(VirtioOnMmio, WhatIsRefusedIsNotGivenBack) {
  taker.refused = 0;
  devices.give_doorbells(&taker);
  EXPECT_EQ(taker.taken.size(), 1u);
  devices.give_doorbells(nullptr);
  EXPECT_TRUE(taker.taken.empty());
}

}  // namespace
}  // namespace eidolon::machine
