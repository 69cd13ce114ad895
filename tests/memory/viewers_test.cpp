// Several processors as viewers of guest memory: translated pages, writable entries, and a map that changes.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "memory/guest_memory.h"
#include "memory/remap.h"

namespace eidolon::memory {
namespace {

class Recorder final : public CodeObserver {
 public:
  void code_written(GuestPhysical address, uint64_t length) override { told.push_back({address, length}); }
  std::vector<std::pair<GuestPhysical, uint64_t>> told;
};
using Told = std::vector<std::pair<GuestPhysical, uint64_t>>;

class ViewersTest : public testing::Test {
 protected:
  ViewersTest() {
    EXPECT_TRUE(memory->add_region(0, 0x10000, RegionKind::kRam));
    for (unsigned viewer = 0; viewer < 3; ++viewer) {
      memory->set_code_observer(&observers[viewer], viewer);
      memory->set_foreign_write_waker([this, viewer] { ++wakes[viewer]; }, viewer);
    }
  }
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(0x20000);
  std::array<Recorder, 3> observers;
  std::array<unsigned, 3> wakes{};
};

TEST_F(ViewersTest, AWriterTellsItselfAtOnceAndOthersWhenItSettles) {
  memory->mark_code(0x2000, 0);
  memory->mark_code(0x2000, 2);
  memory->before_write(0x2010, 8, 0);
  EXPECT_EQ(observers[0].told, (Told{{0x2010, 8}}));
  EXPECT_EQ(wakes[0], 1u) << "it has something to settle";
  EXPECT_EQ(wakes[2], 0u) << "the bytes are not there yet";
  memory->settle_foreign_writes(0);
  EXPECT_EQ(wakes[2], 1u);
  EXPECT_TRUE(observers[2].told.empty()) << "not on the writer's thread";
  memory->settle_foreign_writes(2);
  EXPECT_EQ(observers[2].told, (Told{{0x2010, 8}}));
  memory->settle_foreign_writes(0);
  EXPECT_EQ(observers[0].told.size(), 1u) << "it does not come back";
  EXPECT_TRUE(observers[1].told.empty()) << "it has no translations there";
}

TEST_F(ViewersTest, AViewerWithoutTranslationsHasNothingToSettle) {
  memory->mark_code(0x2000, 0);
  memory->before_write(0x3000, 8, 0);
  EXPECT_EQ(wakes[0], 0u);
  memory->before_write(0x2000, 8, 0);
  EXPECT_EQ(wakes[0], 0u) << "nobody else translated the page";
}

TEST_F(ViewersTest, MarksAreOfOneViewer) {
  memory->mark_code(0x2000, 0);
  memory->mark_code(0x2000, 1);
  memory->clear_code(0x2000, 0);
  EXPECT_TRUE(memory->page_has_code(0x2000));
  EXPECT_FALSE(memory->has_code_of(0x2000, 0));
  EXPECT_TRUE(memory->has_code_of(0x2000, 1));
  memory->clear_code(0x2000, 1);
  EXPECT_FALSE(memory->page_has_code(0x2000));
}

TEST_F(ViewersTest, NobodyBecomesAWriterOfTranslatedBytes) {
  EXPECT_TRUE(memory->enter_writer(0x2000, 1));
  EXPECT_TRUE(memory->enter_writer(0x2fff, 1)) << "it is one already";
  EXPECT_EQ(memory->writers(0x2000), 2u);
  memory->mark_code(0x2000, 0);
  EXPECT_FALSE(memory->enter_writer(0x2000, 2));
  EXPECT_FALSE(memory->enter_writer(0x2000, 1)) << "nor again";
  memory->leave_writer(0x2000, 1);
  memory->leave_writer(0x2000, 2);
  EXPECT_EQ(memory->writers(0x2000), 0u);
  EXPECT_FALSE(memory->enter_writer(0xf0000, 1)) << "no memory";
}

// It may be between being refused and storing when another processor translates the page.
TEST_F(ViewersTest, WhoIsRefusedIsAWriterAllTheSame) {
  memory->mark_code(0x2000, 1);
  EXPECT_FALSE(memory->enter_writer(0x2000, 1));
  EXPECT_EQ(memory->writers(0x2000), 2u);
}

// What was shown at the address is not there any more: nothing can be said of it by the address.
TEST_F(ViewersTest, AMapChangeIsToldFromAWrite) {
  struct Observer final : CodeObserver {
    void code_written(GuestPhysical, uint64_t) override { ADD_FAILURE() << "the bytes are still there"; }
    void code_unmapped(GuestPhysical address, uint64_t) override { told.push_back(address); }
    std::vector<GuestPhysical> told;
  } observer;
  ASSERT_TRUE(memory->add_region(0x40000, 0x1000, RegionKind::kRam));
  memory->set_code_observer(&observer, 1);
  memory->mark_code(0x40000, 1);
  remap(*memory, 0x40000, memory->host(0x3000, 1), RegionKind::kRam);
  memory->settle_foreign_writes(1);
  EXPECT_EQ(observer.told, std::vector<GuestPhysical>{0x40000});
}

// Either the writer learns of the translation or the translator of the writer, whoever was first.
TEST_F(ViewersTest, WriterAndTranslatorDoNotMissEachOther) {
  for (unsigned turn = 0; turn < 300; ++turn) {
    const GuestPhysical page = 0x1000 * (turn % 16);
    bool writer = false;
    std::atomic<unsigned> ready{0};
    const auto meet = [&ready] {
      ++ready;
      while (ready != 2) std::this_thread::yield();
    };
    std::thread other([&] {
      meet();
      writer = memory->enter_writer(page, 1);
    });
    meet();
    memory->mark_code(page, 0);
    const bool seen = memory->writers(page) != 0;
    other.join();
    ASSERT_TRUE(seen || !writer) << turn;
    memory->clear_code(page, 0);
    memory->leave_writer(page, 1);
  }
}

// Host, room and kind belong together while another thread changes what is shown.
TEST_F(ViewersTest, APlaceIsWholeWhileTheMapChanges) {
  uint8_t* const low = memory->host(0, 1);
  ASSERT_TRUE(memory->add_region(0x40000, 0x1000, RegionKind::kRom));
  uint8_t* const rom = memory->host(0x40000, 1);
  const Region* window = *memory->add_window(0x1000);
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (unsigned turn = 0; turn < 20000; ++turn) {
      const bool shadowed = turn % 2 != 0;
      remap(*memory, 0x40000, shadowed ? low : rom, shadowed ? RegionKind::kRam : RegionKind::kRom);
      (void)memory->show_window(*window, shadowed ? 0x80000 : 0x80800000);
    }
    stop = true;
  });
  while (!stop) {
    const auto place = memory->locate(0x40010);
    EXPECT_TRUE(place && place->host == (place->kind == RegionKind::kRam ? low : rom) + 0x10);
    const auto seen = memory->locate(0x80fff);
    EXPECT_TRUE(!seen || (seen->host == window->host + 0xfff && seen->left == 1));
  }
  changer.join();
}

}  // namespace
}  // namespace eidolon::memory
