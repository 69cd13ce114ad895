// Memory of devices: where it is shown, what is in its way, and who is told when it moves.
#include <gtest/gtest.h>

#include "memory/guest_memory.h"

namespace eidolon::memory {
namespace {

class Recorder final : public CodeObserver {
 public:
  void code_written(GuestPhysical address, uint64_t length) override { told.push_back({address, length}); }
  std::vector<std::pair<GuestPhysical, uint64_t>> told;
};

class WindowTest : public testing::Test {
 protected:
  static constexpr GuestPhysical kAt = 0x80000000;
  static constexpr uint64_t kLength = 0x4000;

  WindowTest() {
    EXPECT_TRUE(memory->add_region(0, 0x10000, RegionKind::kRam));
    window = *memory->add_window(kLength);
    memory->set_map_observer([this] { ++moves; });
    memory->set_code_observer(&observer);
  }
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(0x10000 + kLength);
  const Region* window = nullptr;
  Recorder observer;
  unsigned moves = 0;
};

TEST_F(WindowTest, IsNowhereUntilItIsShownAndNoPartOfTheRam) {
  EXPECT_EQ(memory->find(kAt), nullptr);
  EXPECT_EQ(memory->find(GuestMemory::kNowhere), nullptr);
  EXPECT_EQ(memory->find(0), &memory->regions()[0]);
  EXPECT_EQ(memory->ram_bytes(), 0x10000u);
  EXPECT_EQ(memory->regions().size(), 1u);
}

TEST_F(WindowTest, IsRamWhereItIsShownAndKeepsItsBytesWhenItMoves) {
  ASSERT_TRUE(memory->show_window(*window, kAt));
  const uint32_t value = 0x12345678;
  EXPECT_TRUE(memory->write(kAt + 0x3ffc, &value, 4));
  EXPECT_FALSE(memory->write(kAt + 0x3ffd, &value, 4)) << "across its end";
  ASSERT_TRUE(memory->show_window(*window, kAt + 0x1000)) << "it is not in its own way";
  EXPECT_EQ(memory->find(kAt), nullptr);
  uint32_t read = 0;
  EXPECT_TRUE(memory->read(kAt + 0x4ffc, &read, 4));
  EXPECT_EQ(read, value);
  memory->hide_window(*window);
  EXPECT_EQ(memory->host(kAt + 0x4ffc, 4), nullptr);
  EXPECT_EQ(moves, 3u);
  memory->hide_window(*window);
  EXPECT_EQ(moves, 3u) << "nothing has moved";
}

TEST_F(WindowTest, GivesWayToOtherMemory) {
  EXPECT_FALSE(memory->show_window(*window, 0xf000));
  EXPECT_FALSE(memory->show_window(*window, ~uint64_t{0} - 0xfff)) << "it would run over the end into RAM";
  ASSERT_TRUE(memory->show_window(*window, kAt));
  EXPECT_FALSE(memory->show_window(*window, 0x4000));
  EXPECT_EQ(memory->find(kAt), nullptr) << "it is nowhere then";
}

TEST_F(WindowTest, TranslationsOfItsBytesGoWhenItMoves) {
  ASSERT_TRUE(memory->show_window(*window, kAt));
  memory->mark_code(kAt + 0x1000);
  memory->hide_window(*window);
  memory->settle_foreign_writes();
  ASSERT_EQ(observer.told.size(), 1u);
  EXPECT_EQ(observer.told[0], (std::pair<GuestPhysical, uint64_t>(kAt + 0x1000, 0x1000)));
}

TEST_F(WindowTest, CanBeForbiddenAndHasToFit) {
  memory->forbid_windows();
  EXPECT_FALSE(memory->show_window(*window, kAt));
  EXPECT_FALSE(memory->add_window(0x1000)) << "the capacity is used up";
}

}  // namespace
}  // namespace eidolon::memory
