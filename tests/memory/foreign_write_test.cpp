// Writes by devices' threads to pages that hold translated code.
#include <gtest/gtest.h>

#include <thread>

#include "memory/guest_memory.h"

namespace eidolon::memory {
namespace {

class Recorder final : public CodeObserver {
 public:
  void code_written(GuestPhysical address, uint64_t length) override {
    told.push_back({address, length});
    thread = std::this_thread::get_id();
  }
  std::vector<std::pair<GuestPhysical, uint64_t>> told;
  std::thread::id thread;
};

class ForeignWrites : public testing::Test {
 protected:
  ForeignWrites() {
    EXPECT_TRUE(memory->add_region(0, 0x10000, RegionKind::kRam));
    memory->set_code_observer(&observer);
    memory->set_foreign_write_waker([this] { ++wakes; });
  }
  Recorder observer;
  unsigned wakes = 0;
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(0x10000);
};

TEST_F(ForeignWrites, PagesWithoutCodeTellNobody) {
  memory->after_foreign_write(0x1000, 0x2000);
  EXPECT_EQ(wakes, 0u);
  memory->settle_foreign_writes();
  EXPECT_TRUE(observer.told.empty());
}

TEST_F(ForeignWrites, TheObserverIsToldByWhoSettles) {
  memory->mark_code(0x2000);
  std::thread device([this] { memory->after_foreign_write(0x1800, 0x1000); });
  device.join();
  EXPECT_EQ(wakes, 1u);
  EXPECT_TRUE(observer.told.empty()) << "not on the device's thread";
  memory->settle_foreign_writes();
  ASSERT_EQ(observer.told.size(), 1u);
  EXPECT_EQ(observer.told[0], (std::pair<GuestPhysical, uint64_t>(0x2000, 0x800)));
  EXPECT_EQ(observer.thread, std::this_thread::get_id());
  memory->settle_foreign_writes();
  EXPECT_EQ(observer.told.size(), 1u) << "once";
}

TEST_F(ForeignWrites, TheEndOfMemoryIsNoPlaceToRunOver) {
  memory->mark_code(0xf000);
  memory->after_foreign_write(0xfff0, 0x10);
  memory->settle_foreign_writes();
  ASSERT_EQ(observer.told.size(), 1u);
  EXPECT_EQ(observer.told[0].second, 0x10u);
}

}  // namespace
}  // namespace eidolon::memory
